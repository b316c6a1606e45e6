/* SPDX-License-Identifier: MIT
 * task.c -- the life of one task, from its start to its end. How it waits in between is in task_wait.c. */
#include "task.h"
#include "generation.h"
#include "limit.h"
#include "runtime.h"
#include "scheduler.h"
#include "trace.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* -- its beginning --------------------------------------------------------- */

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
  return kind == TINY_TASK_REQUEST || tiny_tasks_serve_request(g);
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

typedef struct begin_call {
  tiny_generation *generation;
  tiny_task_kind kind;
  int (*push)(lua_State *L, void *data);
  void *data;
  tiny_task *task;
} begin_call;

/* The task comes last: nothing raises after it. */
static int begin_protected(lua_State *L) {
  begin_call *call = lua_touserdata(L, 1);
  int count = call->push(L, call->data);
  if (count == 0) return 0;
  call->task = tiny_task_new(L, call->generation, call->kind);
  lua_xmove(L, call->task->co, count);
  return 0;
}

tiny_task *tiny_task_begin(tiny_generation *g, tiny_task_kind kind,
                           int (*push)(lua_State *L, void *data), void *data, const char *what) {
  begin_call call = {g, kind, push, data, NULL};
  tiny_lua_try(g, begin_protected, &call, what);
  return call.task;
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
  tiny_scheduler_push(task->generation->scheduler, task);
}

/* -- its end --------------------------------------------------------------- */

bool tiny_task_was_cancelled(const tiny_task *task) {
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
  task->unreported =
      failed && !task->on_end && !task->joiners.first && !tiny_task_was_cancelled(task);
  g->live[task->of_request][task->kind]--;
  tiny_waiters_wake(&task->joiners, UINT_MAX);
  if (task->on_end) task->on_end(task);
  if (task->unreported)
    tiny_task_ready(task, 0);
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

void tiny_task_let_go(tiny_task *task) {
  task->box = NULL;
  if (task->ended && !task->queued) bury(task);
}

/* -- running --------------------------------------------------------------- */

/* What is to be raised at its wait goes in the place of what it was given there. Returns how many
 * values it gets. */
static int prepare(tiny_task *task) {
  tiny_generation *g = task->generation;
  int passes = task->passes;
  task->passes = 0;
  if (!task->raises && !(task->cut && task->started)) return passes;
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->stop ? g->stops[task->stop] : g->cancelled);
  task->raises = false;
  task->stop = TINY_STOP_NONE;
  return 1;
}

/* Returns LuaJIT's status, and in 'stop' why it was stopped. */
static int resume(tiny_task *task, int passes, tiny_stop *stop) {
  tiny_generation *g = task->generation;
  tiny_visit visit;
  task->started = true;
  g->current = task;
  tiny_lua_enter(g, &visit, task->co, task, task->limit_ns);
  int status = lua_resume(task->co, passes);
  *stop = tiny_lua_leave(g, &visit);
  g->current = NULL;
  return status;
}

/* To its next wait, or to its end. */
static void go_on(tiny_task *task) {
  tiny_stop stop;
  int passes = prepare(task), status = resume(task, passes, &stop);
  if (stop && status != LUA_YIELD)
    end_stopped(task, stop);
  else if (status == LUA_ERRMEM)
    end_starved(task);
  else if (status != LUA_YIELD)
    end(task, status != 0);
  else if (!task->leave && !task->queued)
    end_strayed(task);
}

static void end_unbegun(tiny_task *task) {
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  end(task, true);
}

void tiny_task_run(tiny_task *task, int passes) {
  task->passes = passes;
  if (task->ended) {
    bury(task);
    return;
  }
  tiny_duty_expired(task->generation->runtime->duty); /* cuts the tasks if so */
  if (task->cancelled && !task->started)
    end_unbegun(task);
  else
    go_on(task);
}

/* -- all of a generation ---------------------------------------------------- */

void tiny_tasks_cancel(tiny_generation *g) {
  for (tiny_task *task = g->tasks; task; task = task->next)
    if (!task->of_request && (task->kind == TINY_TASK_RUN || task->kind == TINY_TASK_GO))
      tiny_task_cancel(task);
}

bool tiny_tasks_serve_request(const tiny_generation *g) {
  return g->current && g->current->of_request;
}

unsigned tiny_tasks_count(const tiny_generation *g, tiny_task_kind kind, bool of_request) {
  return g->live[0][kind] + (of_request ? g->live[1][kind] : 0);
}

static unsigned sum(const unsigned live[TINY_TASK_KINDS]) {
  unsigned total = 0;
  for (int kind = 0; kind < TINY_TASK_KINDS; kind++) total += live[kind];
  return total;
}

unsigned tiny_tasks_total(const tiny_generation *g) { return sum(g->live[0]) + sum(g->live[1]); }

unsigned tiny_tasks_of_requests(const tiny_generation *g) { return sum(g->live[1]); }

/* Who waits for the end of a task learns that it will not come. */
static void end_abandoned(tiny_task *task) {
  if (task->ended || !task->on_end) return;
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  task->failed = true;
  task->on_end(task);
}

void tiny_tasks_abandon(tiny_generation *g) {
  /* All leave before any goes: they may wait for one another. */
  for (tiny_task *task = g->tasks; task; task = task->next) tiny_task_leave(task);
  for (tiny_task *task = g->tasks; task; task = task->next) end_abandoned(task);
  tiny_scheduler_forget(g->scheduler, g);
  while (g->tasks) forget(g->tasks);
  memset(g->live, 0, sizeof g->live);
}
