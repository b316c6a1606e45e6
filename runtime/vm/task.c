/* SPDX-License-Identifier: MIT
 * task.c -- the life of one task, from its start over its waits to its end. */
#include "task.h"
#include "generation.h"
#include "limit.h"
#include "runtime.h"
#include "scheduler.h"
#include "trace.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static void run(tiny_task *task);

static void enqueue(tiny_task *task) { tiny_scheduler_push(task->generation->scheduler, task); }

static lua_State *take_coroutine(lua_State *L, tiny_generation *g, int *ref) {
  if (g->pooled > 0) {
    g->pooled--;
    *ref = g->pool_refs[g->pooled];
    return g->pool[g->pooled];
  }
  lua_State *co = lua_newthread(L);
  *ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return co;
}

/* A coroutine that has returned can run again; one that died of an error cannot. */
static void give_coroutine(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (!task->co) return;
  if (!task->failed && task->started && g->pooled < (int)(sizeof g->pool / sizeof *g->pool)) {
    lua_settop(task->co, 0);
    g->pool[g->pooled] = task->co;
    g->pool_refs[g->pooled++] = task->co_ref;
  } else {
    luaL_unref(g->L, LUA_REGISTRYINDEX, task->co_ref);
  }
  task->co = NULL;
}

/* Run and timers go on for their own sake, whoever added them. */
static bool begun_by_request(const tiny_generation *g, tiny_task_kind kind) {
  if (kind == TINY_TASK_RUN || kind == TINY_TASK_TIMER) return false;
  return kind == TINY_TASK_REQUEST || (g->current && g->current->of_request);
}

tiny_task *tiny_task_new(lua_State *L, tiny_generation *g, tiny_task_kind kind) {
  int ref;
  lua_State *co = take_coroutine(L, g, &ref);
  tiny_task *task = malloc(sizeof *task); /* calloc() does not use again what was freed just now */
  if (!task) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "not enough memory for a task");
    return NULL;
  }
  *task = (tiny_task){.generation = g,
                      .co = co,
                      .co_ref = ref,
                      .kind = kind,
                      .of_request = begun_by_request(g, kind),
                      .next = g->tasks};
  if (g->tasks) g->tasks->prev = task;
  g->tasks = task;
  g->live[task->of_request][kind]++;
  return task;
}

static void forget(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (task->prev)
    task->prev->next = task->next;
  else
    g->tasks = task->next;
  if (task->next) task->next->prev = task->prev;
  if (task->box) *task->box = NULL;
  free(task->trace);
  tiny_limits_drop(task);
  free(task);
}

void tiny_task_ready(tiny_task *task, int passes) {
  task->passes = passes;
  enqueue(task);
}

void tiny_task_run(tiny_task *task, int passes) {
  task->passes = passes;
  run(task);
}

/* Copy the results (or the error) of an ended task to a joiner: nil, ok, values. */
static void pass_results(tiny_task *from, lua_State *to) {
  int first = from->failed ? lua_gettop(from->co) : 1;
  int count = lua_gettop(from->co) - first + 1;
  lua_pushnil(to);
  lua_pushboolean(to, !from->failed);
  for (int i = 0; i < count; i++) lua_pushvalue(from->co, first + i);
  lua_xmove(from->co, to, count);
}

static int result_count(const tiny_task *task) { return task->failed ? 1 : lua_gettop(task->co); }

bool tiny_task_has_room(lua_State *co, int count) {
  return count <= 10 || lua_checkstack(co, count);
}

static void wake_joiners(tiny_task *task) {
  while (task->joiners) {
    tiny_task *joiner = task->joiners;
    int count = result_count(task);
    task->joiners = joiner->later;
    joiner->leave = NULL;
    if (!tiny_task_has_room(joiner->co, count + 2) || !tiny_task_has_room(task->co, count)) {
      tiny_task_cancel(joiner); /* no memory even for a pointer */
      continue;
    }
    pass_results(task, joiner->co);
    tiny_task_ready(joiner, count + 2);
  }
}

bool tiny_task_was_cancelled(tiny_task *task) {
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  bool same = lua_rawequal(task->co, -1, -2);
  lua_pop(task->co, 1);
  return same;
}

void tiny_task_report(tiny_task *task) {
  bool dead = task->generation->life == TINY_DEAD; /* no Lua of it runs */
  if (task->failed && !dead && !tiny_task_was_cancelled(task))
    tiny_generation_report(task->generation, task);
}

/* Failed tasks come here twice: at once, and a turn later, when those who meant to join it had
 * their chance. */
static void bury(tiny_task *task) {
  if (task->unreported) tiny_generation_report(task->generation, task);
  task->unreported = false;
  if (task->box) return;
  give_coroutine(task);
  forget(task);
}

static void end(tiny_task *task, bool failed) {
  tiny_generation *g = task->generation;
  task->ended = true;
  task->failed = failed;
  task->raises = false;
  tiny_limits_drop(task);
  task->unreported = failed && !task->on_end && !task->joiners && !tiny_task_was_cancelled(task);
  g->live[task->of_request][task->kind]--;
  wake_joiners(task);
  if (task->on_end) task->on_end(task);
  if (task->unreported)
    enqueue(task);
  else
    bury(task);
}

/* A bare coroutine.yield() in a task would never be resumed. */
static void end_strayed(tiny_task *task) {
  lua_settop(task->co, 0);
  lua_pushliteral(task->co, "coroutine.yield outside of a coroutine: a task waits by tiny.sleep, "
                            "tiny.queue and the like");
  end(task, true);
}

/* What it returned or raised means nothing, and its stack may be anything. Run goes on, in a new
 * task. */
static void end_stopped(tiny_task *task, tiny_stop stop) {
  tiny_generation *g = task->generation;
  bool again = (stop == TINY_STOP_SLICE || stop == TINY_STOP_LIMIT) && !task->cancelled &&
               task->kind == TINY_TASK_RUN;
  const char *trace = tiny_interrupt_trace(g->runtime->interrupt);
  if (stop == TINY_STOP_CLOSE)
    tiny_warn(g->runtime->log, "stopped, as the server closes:\n%s", trace);
  task->trace = strdup(trace);
  lua_settop(task->co, 0);
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, stop == TINY_STOP_CLOSE ? g->cancelled : g->stops[stop]);
  end(task, true);
  if (again) tiny_generation_call(g, "run_again");
}

static int new_coroutine(lua_State *L) {
  tiny_task *task = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  task->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  task->co = co;
  return 0;
}

/* Out of memory. A dead coroutine keeps alive what it had on its stack, so the error is told
 * without it. */
static void end_starved(tiny_task *task) {
  tiny_generation *g = task->generation;
  lua_State *dead = task->co;
  int dead_ref = task->co_ref;
  char text[4096];
  tiny_report report = tiny_report_begin(text, sizeof text);
  tiny_trace_put(&report, dead);
  task->trace = strdup(text);
  if (tiny_allocator_call(&g->allocator, g->L, new_coroutine, task) == 0) {
    lua_xmove(dead, task->co, 1);
    luaL_unref(g->L, LUA_REGISTRYINDEX, dead_ref);
  } else {
    lua_pop(g->L, 1);
  }
  tiny_allocator_recover(&g->allocator, g->L);
  end(task, true);
}

static void run(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (task->ended) {
    bury(task);
    return;
  }
  int passes = task->passes;
  tiny_duty_expired(g->runtime->duty); /* cuts the tasks if so */
  if (task->raises || (task->cut && task->started)) {
    task->raises = false;
    lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->stop ? g->stops[task->stop] : g->cancelled);
    task->stop = TINY_STOP_NONE;
    passes = 1;
  }
  if (task->cancelled && !task->started) {
    lua_rawgeti(task->co, LUA_REGISTRYINDEX, g->cancelled);
    end(task, true);
    return;
  }
  task->started = true;
  task->passes = 0;
  g->current = task;
  tiny_visit visit;
  tiny_lua_enter(g, &visit, task->co, task, task->limit_ns);
  int status = lua_resume(task->co, passes);
  tiny_stop stop = tiny_lua_leave(g, &visit);
  g->current = NULL;
  if (stop && status != LUA_YIELD)
    end_stopped(task, stop);
  else if (status == LUA_ERRMEM)
    end_starved(task);
  else if (status != LUA_YIELD)
    end(task, status != 0);
  else if (!task->leave && !task->queued)
    end_strayed(task);
}

tiny_task *tiny_task_here(lua_State *L, const char *what) {
  tiny_generation *g = tiny_generation_acting(L, what);
  if (!g->current) tiny_misuse(L, "%s outside of a task: start one with tiny.go", what);
  if (g->current->co != L)
    tiny_misuse(
        L, "%s in a coroutine that the script made: use tiny.go instead of coroutine.create", what);
  if (!lua_isyieldable(L))
    tiny_misuse(L, "%s across a C call (table.sort, string.gsub or the like) that cannot wait",
                what);
  return g->current;
}

/* It does not wait any longer. Returns how it leaves what it waited for. */
static void (*unpark(tiny_task *task))(tiny_task *) {
  void (*leave)(tiny_task *) = task->leave;
  task->leave = NULL;
  tiny_timers_remove(task->generation->runtime->timers, task->due);
  task->due = 0;
  return leave;
}

/* A cancelled task gives way for a turn before the raise: one that swallows it in a loop must not
 * hold the others up. */
static void raise_at_wait(tiny_task *task) {
  void (*leave)(tiny_task *) = unpark(task);
  if (leave) leave(task);
  tiny_limits_tell(task);
  task->raises = true;
  enqueue(task);
}

static bool is_stopped(const tiny_task *task) { return task->cancelled || task->expired > 0; }

int tiny_task_park(tiny_task *task, void (*leave)(tiny_task *), void *source) {
  task->leave = leave;
  task->source = source;
  task->greed = 0;
  if (is_stopped(task)) raise_at_wait(task);
  return lua_yield(task->co, 0);
}

int tiny_task_park_until(tiny_task *task, void (*leave)(tiny_task *), void *source,
                         uint64_t deadline_ns) {
  tiny_timers *timers = task->generation->runtime->timers;
  if (deadline_ns) task->due = tiny_timers_add(timers, deadline_ns, TINY_DUE_TASK, (uintptr_t)task);
  if (!deadline_ns || task->due) return tiny_task_park(task, leave, source);
  task->source = source;
  leave(task);
  return luaL_error(task->co, "not enough memory");
}

void tiny_task_wake(tiny_task *task) {
  unpark(task);
  lua_pushnil(task->co);
  tiny_task_ready(task, 1);
}

void tiny_task_wake_failed(tiny_task *task, int code) {
  unpark(task);
  lua_pushnil(task->co);
  lua_pushboolean(task->co, true);
  lua_pushnil(task->co);
  lua_pushinteger(task->co, code);
  tiny_task_ready(task, 4);
}

void tiny_task_resume(tiny_task *task) {
  lua_pushnil(task->co);
  tiny_task_resume_with(task, 1);
}

void tiny_task_resume_with(tiny_task *task, int passes) {
  unpark(task);
  task->passes = passes;
  run(task);
}

void tiny_task_cancel(tiny_task *task) {
  if (task->ended || task->cancelled) return;
  task->cancelled = true;
  if (task->leave) raise_at_wait(task);
}

void tiny_task_expire(tiny_task *task) {
  task->expired++;
  if (task->leave) raise_at_wait(task);
}

void tiny_task_stop(tiny_task *task, tiny_stop stop) {
  if (!task->leave) return;
  task->stop = stop;
  raise_at_wait(task);
}

void tiny_tasks_cancel(tiny_generation *g) {
  for (tiny_task *task = g->tasks; task; task = task->next)
    if (!task->of_request && (task->kind == TINY_TASK_RUN || task->kind == TINY_TASK_GO))
      tiny_task_cancel(task);
}

unsigned tiny_tasks_count(const tiny_generation *g, tiny_task_kind kind, bool of_request) {
  return g->live[0][kind] + (of_request ? g->live[1][kind] : 0);
}

/* Who waits for the end of a task learns that it will not come. */
static void end_abandoned(tiny_task *task) {
  if (task->ended || !task->on_end) return;
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  task->failed = true;
  task->on_end(task);
}

static void abandon_wait(tiny_task *task) {
  void (*leave)(tiny_task *) = unpark(task);
  if (leave) leave(task);
}

void tiny_tasks_abandon(tiny_generation *g) {
  for (tiny_task *task = g->tasks; task;
       task = task->next) /* all leave before any goes: they may */
    abandon_wait(task);   /* wait for one another */
  for (tiny_task *task = g->tasks; task; task = task->next) end_abandoned(task);
  tiny_scheduler_forget(g->scheduler, g);
  while (g->tasks) forget(g->tasks);
  memset(g->live, 0, sizeof g->live);
}

/* -- the waits that every task has ----------------------------------------- */

static void leave_nothing(tiny_task *task) { (void)task; }

void tiny_task_on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  (void)data, (void)id, (void)now;
  tiny_task *task = (tiny_task *)(uintptr_t)word;
  task->leave(task);
  tiny_task_resume(task);
}

int tiny_task_sleep(tiny_task *task, double seconds) {
  if (seconds > 0)
    return tiny_task_park_until(task, leave_nothing, NULL, tiny_timers_after(seconds));
  if (is_stopped(task))
    raise_at_wait(task);
  else
    enqueue(task);
  return lua_yield(task->co, 0);
}

int tiny_task_give_way(tiny_task *task) {
  task->greed = 0;
  return tiny_task_sleep(task, 0);
}

static void leave_join(tiny_task *task) {
  tiny_task *joined = task->source;
  tiny_task **at = &joined->joiners;
  while (*at != task) at = &(*at)->later;
  *at = task->later;
}

int tiny_task_join(tiny_task *task, tiny_task *joined) {
  if (joined->ended) {
    int count = result_count(joined);
    luaL_checkstack(task->co, count + 2, "too many results");
    joined->unreported = false; /* it is the joiner's error now */
    pass_results(joined, task->co);
    return count + 2;
  }
  tiny_task **at = &joined->joiners;
  while (*at) at = &(*at)->later;
  *at = task;
  task->later = NULL;
  return tiny_task_park(task, leave_join, joined);
}

void tiny_task_let_go(tiny_task *task) {
  task->box = NULL;
  if (task->ended && !task->queued) bury(task);
}
