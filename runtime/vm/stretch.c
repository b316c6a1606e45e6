/* SPDX-License-Identifier: MIT
 * stretch.c -- into a generation's Lua, and back. */
#include "runtime.h"

#include "clock.h"

/* Exact to a few ms, for 5 ns. */
static uint64_t coarse_now(void) { return tiny_clock_ns(CLOCK_MONOTONIC_COARSE); }

void tiny_lua_enter(tiny_generation *g, tiny_visit *visit, lua_State *running,
                    const tiny_task *task, uint64_t limit_ns) {
  tiny *rt = g->runtime;
  visit->busy_since = atomic_load_explicit(&rt->state.busy_since, memory_order_relaxed);
  atomic_store_explicit(&rt->state.busy_since, coarse_now(), memory_order_release);
  if (!rt->interrupt) return;
  visit->stretch = (tiny_stretch){.L = g->L, .running = running, .what = task};
  tiny_interrupt_enter(rt->interrupt, &visit->stretch, limit_ns);
}

bool tiny_lua_lasts(const tiny_generation *g) {
  return atomic_load_explicit(&g->runtime->state.busy_since, memory_order_relaxed) != coarse_now();
}

tiny_stop tiny_lua_leave(tiny_generation *g, tiny_visit *visit) {
  tiny *rt = g->runtime;
  tiny_stop stop = TINY_STOP_NONE;
  if (rt->interrupt) stop = tiny_interrupt_leave(rt->interrupt, &visit->stretch);
  atomic_store_explicit(&rt->state.busy_since, visit->busy_since, memory_order_release);
  if (stop == TINY_STOP_HUNG) tiny_hung_note(rt);
  return stop;
}

int tiny_lua_call(tiny_generation *g, lua_CFunction fn, void *data) {
  tiny_visit visit;
  tiny_lua_enter(g, &visit, g->L, NULL, 0);
  int status = lua_cpcall(g->L, fn, data);
  tiny_stop stop = tiny_lua_leave(g, &visit);
  if (status == LUA_ERRMEM) tiny_allocator_recover(&g->allocator, g->L);
  if (!stop) return status;
  if (status == 0) lua_pushnil(g->L); /* it came through unharmed, and yet it does not count */
  lua_rawgeti(g->L, LUA_REGISTRYINDEX, g->stops[stop]);
  lua_replace(g->L, -2);
  return LUA_ERRRUN;
}

int tiny_lua_try(tiny_generation *g, lua_CFunction fn, void *data, const char *what) {
  if (tiny_lua_call(g, fn, data) == 0) return 0;
  const char *text = lua_tostring(g->L, -1);
  tiny_err(g->runtime->log, "%s: %s", what, text ? text : "(error without a message)");
  lua_pop(g->L, 1);
  return -1;
}

/* Its key, when it is text: timer.running.key of lua/tiny/timer.lua, by which it is kept alive. */
static void put_timer(tiny_report *report, lua_State *L) {
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  static const char *const path[] = {"tiny.timer", "running", "key"};
  for (int i = 0; i < 3 && lua_istable(L, -1); i++) lua_getfield(L, -1, path[i]);
  if (lua_type(L, -1) == LUA_TSTRING) {
    tiny_report_put(report, " \"");
    tiny_report_put(report, lua_tostring(L, -1));
    tiny_report_put(report, "\"");
  }
  lua_settop(L, top);
}

void tiny_task_describe(tiny_report *report, const void *what, lua_State *L) {
  static const char *const kinds[] = {"a callback", "run", "timer", "a task", "a request"};
  const tiny_task *task = what;
  tiny_report_put(report, "generation ");
  tiny_report_number(report, (int64_t)task->generation->number);
  tiny_report_put(report, ", ");
  tiny_report_put(report,
                  task->name && task->kind != TINY_TASK_TIMER ? task->name : kinds[task->kind]);
  if (task->kind == TINY_TASK_TIMER && L) put_timer(report, L);
  if (task->started_line > 0) {
    tiny_report_put(report, " started at ");
    tiny_report_put(report, task->started_at);
    tiny_report_put(report, ":");
    tiny_report_number(report, task->started_line);
  }
  tiny_report_put(report, "\n");
}
