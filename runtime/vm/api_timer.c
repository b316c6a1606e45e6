/* SPDX-License-Identifier: MIT
 * api_timer.c -- tiny.core.timer: due times for lua/tiny/timer.lua, and the executor: the one task
 * of a generation in which all its timers' functions run, one after the other. While it runs or
 * waits, other due timers are held back. */
#include "executor.h"
#include "generation.h"
#include "runtime.h"
#include "worker.h"

#include <lauxlib.h>
#include <string.h>
#include <time.h>

static tiny_generation *generation_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static tiny_timers *timers_of(const tiny_generation *g) { return g->runtime->timers; }

static void count(tiny_generation *g, int by) {
  g->timers += (unsigned)by;
  atomic_store_explicit(&g->runtime->state.timers, g->timers, memory_order_relaxed);
}

/* -- the executor ---------------------------------------------------------- */

static void on_end(tiny_task *task);

static void run(tiny_generation *g, tiny_task *task) {
  g->executing = true;
  task->on_end = on_end;
  tiny_timers_hold(timers_of(g), TINY_DUE_TIMER, true);
}

/* A function that raises ends the task that it ran in; another one goes on with the timers. */
static void on_end(tiny_task *task) {
  tiny_generation *g = task->generation;
  tiny_task_report(task);
  g->executing = false;
  if (!g->timers_on) return;
  task = tiny_generation_start(g, TINY_TASK_TIMER, "run_timers", NULL, NULL);
  if (task) {
    run(g, task);
  } else {
    tiny_err(g->runtime->log, "not enough memory to go on with timers");
    tiny_closing_ask(g->runtime, "error", 0, TINY_EXIT_ERROR);
  }
}

static void forget_slots(tiny_generation *g) {
  luaL_unref(g->L, LUA_REGISTRYINDEX, g->due_slots);
  g->due_slots = LUA_NOREF;
}

/* start(execute, slots): timers fire from now on; 'execute' asks for them by next(). 'slots' is where it
 * finds what they call. */
static int l_start(lua_State *L) {
  tiny_generation *g = generation_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TTABLE);
  forget_slots(g);
  lua_pushvalue(L, 2);
  g->due_slots = luaL_ref(L, LUA_REGISTRYINDEX);
  g->timers_on = true;
  if (g->executing) return 0; /* a function that began before a reload which was refused */
  tiny_task *task = tiny_task_new(L, g, TINY_TASK_TIMER);
  lua_pushvalue(L, 1);
  lua_xmove(L, task->co, 1);
  tiny_task_ready(task, 0);
  run(g, task);
  return 0;
}

/* With many timers the functions of each two that follow one another are far apart in memory: waiting
 * for that is most of what firing them takes. */
static void fetch_soon(lua_State *L, tiny_generation *g) {
  uint32_t soon = tiny_timers_soon(timers_of(g));
  if (!soon) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->due_slots);
  lua_rawgeti(L, -1, (int)soon);
  __builtin_prefetch(lua_topointer(L, -1));
  lua_pop(L, 2);
}

void tiny_executor_on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  tiny_generation *g = (tiny_generation *)(uintptr_t)word;
  tiny_task *task = g->executor;
  (void)data, (void)now;
  count(g, -1);
  g->executor = NULL;
  fetch_soon(task->co, g);
  lua_pushnil(task->co);
  lua_pushinteger(task->co, (uint32_t)id);
  tiny_task_resume_with(task, 2);
  if (!g->executor && g->timers_on) tiny_timers_hold(timers_of(g), TINY_DUE_TIMER, true);
}

void tiny_executor_stop(tiny_generation *g) {
  g->timers_on = false;
  forget_slots(g);
  tiny_workers_stop(g);
  if (g->timers > 0) {
    tiny_timers_forget(timers_of(g), TINY_DUE_TIMER, (uintptr_t)g);
    count(g, -(int)g->timers);
  }
  if (g->executor) tiny_task_wake(g->executor);
  g->executor = NULL;
}

static void leave(tiny_task *task) { task->generation->executor = NULL; }

/* next() -> slot of the next one that is due; nothing when timers have stopped */
static int l_next(lua_State *L) {
  tiny_generation *g = generation_of(L);
  if (!g->timers_on) return 0;
  g->executor = tiny_task_here(L, "a timer");
  tiny_timers_hold(timers_of(g), TINY_DUE_TIMER, false);
  return tiny_task_park(g->executor, leave, NULL);
}

/* -- due times ------------------------------------------------------------- */

/* Timers added where they have stopped, by a request that a reload has left behind, never fire. */
static int add(lua_State *L, tiny_generation *g, uint64_t due_ns) {
  if (!g->timers_on) return 0;
  tiny_due id = tiny_timers_add(timers_of(g), due_ns, TINY_DUE_TIMER, (uintptr_t)g);
  if (!id) return luaL_error(L, "not enough memory");
  count(g, 1);
  lua_pushnumber(L, (lua_Number)id);
  lua_pushinteger(L, (uint32_t)id);
  return 2;
}

/* acting(what): raises, at who called the caller, where nothing can be started */
static int l_acting(lua_State *L) {
  tiny_generation_acting(L, luaL_checkstring(L, 1));
  return 0;
}

/* add(due) -> id, slot: due in nanoseconds of the monotonic clock; nothing when timers have stopped */
static int l_add(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "a timer");
  lua_Number due = luaL_checknumber(L, 1);
  return add(L, g, due > 0 ? due < 1e19 ? (uint64_t)due : UINT64_MAX : 0);
}

/* after(seconds) -> id, slot: the same, from now on */
static int l_after(lua_State *L) {
  tiny_generation *g = generation_of(L);
  if (g->life < TINY_ENTERED) tiny_generation_acting(L, "tiny.after");
  return add(L, g, tiny_timers_after(luaL_checknumber(L, 1)));
}

/* remove(id) -> slot, or nothing when it was not pending */
static int l_remove(lua_State *L) {
  tiny_generation *g = generation_of(L);
  lua_Number id = luaL_checknumber(L, 1);
  if (!(id > 0 && id < 9007199254740992.0)) return 0;
  if (!tiny_timers_remove(timers_of(g), (tiny_due)id)) return 0;
  count(g, -1);
  lua_pushinteger(L, (uint32_t)(tiny_due)id);
  return 1;
}

/* stop() */
static int l_stop(lua_State *L) {
  tiny_executor_stop(generation_of(L));
  return 0;
}

/* -- clocks ---------------------------------------------------------------- */

/* now() -> nanoseconds of the monotonic clock; wall() -> seconds since 1970, fractions too */
static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)tiny_timers_now());
  return 1;
}

static int l_wall(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  lua_Number skew = (lua_Number)tiny_timers_skew() / 1e9;
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9 + skew);
  return 1;
}

/* freeze(ns): for specs, let it be that time; nil: the real one */
static int l_freeze(lua_State *L) {
  tiny_timers_freeze(timers_of(generation_of(L)), (uint64_t)luaL_optnumber(L, 1, 0));
  return 0;
}

/* due() -> nanoseconds: when the next timer, wait or limit is due, or earlier; nil: nothing is */
static int l_due(lua_State *L) {
  uint64_t due = tiny_timers_next(timers_of(generation_of(L)));
  if (due != UINT64_MAX)
    lua_pushnumber(L, (lua_Number)due);
  else
    lua_pushnil(L);
  return 1;
}

/* round(ns) -> ns, as svr.timer.min_span has it */
static int l_round(lua_State *L) {
  double ns = luaL_checknumber(L, 1);
  lua_pushnumber(L, (lua_Number)tiny_timers_round(timers_of(generation_of(L)), (uint64_t)ns));
  return 1;
}

/* -- what the next generation may ask for ---------------------------------- */

/* keep(key, kind, point): where a timer has got to; forget(): those kept before */
static int l_keep(lua_State *L) {
  const char *key = luaL_checkstring(L, 1), *kind = luaL_checkstring(L, 2);
  double point = luaL_checknumber(L, 3);
  json_t *row = json_array();
  json_array_append_new(row, json_string_nocheck(kind));
  json_array_append_new(row, json_real(point));
  json_object_set_new_nocheck(generation_of(L)->runtime->phases, key, row);
  return 0;
}

static int l_forget(lua_State *L) {
  json_object_clear(generation_of(L)->runtime->phases);
  return 0;
}

/* kept(key, kind) -> point, or nil where none of that kind was kept */
static int l_kept(lua_State *L) {
  json_t *row = json_object_get(generation_of(L)->runtime->phases, luaL_checkstring(L, 1));
  const char *kind = json_string_value(json_array_get(row, 0));
  if (!kind || strcmp(kind, luaL_checkstring(L, 2)) != 0) return 0;
  lua_pushnumber(L, json_real_value(json_array_get(row, 1)));
  return 1;
}

static const luaL_Reg functions[] = {
    {"acting", l_acting}, {"next", l_next},   {"add", l_add},       {"after", l_after},
    {"remove", l_remove}, {"start", l_start}, {"stop", l_stop},     {"now", l_now},
    {"wall", l_wall},     {"round", l_round}, {"keep", l_keep},     {"forget", l_forget},
    {"kept", l_kept},     {"due", l_due},     {"freeze", l_freeze}, {NULL, NULL}};

int luaopen_tiny_timer(lua_State *L) {
  lua_newtable(L);
  lua_pushlightuserdata(L, tiny_generation_of(L));
  luaL_openlib(L, NULL, functions, 1);
  return 1;
}
