/* SPDX-License-Identifier: MIT
 * task_wait.c -- how a task waits: where it may, and what ends the wait. */
#include "generation.h"
#include "limit.h"
#include "runtime.h"
#include "wait.h"

#include <lauxlib.h>

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

void tiny_task_leave(tiny_task *task) {
  void (*leave)(tiny_task *) = unpark(task);
  if (leave) leave(task);
}

/* A cancelled task gives way for a turn before the raise: one that swallows it in a loop must not
 * hold the others up. */
static void raise_at_wait(tiny_task *task) {
  tiny_task_leave(task);
  tiny_limits_tell(task);
  task->raises = true;
  tiny_task_ready(task, 0);
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
  tiny_task_run(task, passes);
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
    tiny_task_ready(task, 0);
  return lua_yield(task->co, 0);
}

int tiny_task_give_way(tiny_task *task) {
  task->greed = 0;
  return tiny_task_sleep(task, 0);
}

static void leave_join(tiny_task *task) {
  tiny_waiters_remove(&((tiny_task *)task->source)->joiners, task);
}

/* Of an ended task: ok and its results, or its error. */
static int push_outcome(lua_State *L, const tiny_task *ended) {
  int last = lua_gettop(ended->co), first = ended->failed ? last : 1;
  luaL_checkstack(L, last - first + 4, "too many results");
  tiny_wait_over(L);
  lua_pushboolean(L, !ended->failed);
  for (int i = first; i <= last; i++) {
    lua_pushvalue(ended->co, i);
    lua_xmove(ended->co, L, 1);
  }
  return last - first + 4;
}

int tiny_task_join(tiny_task *task, tiny_task *joined) {
  if (joined->ended) {
    joined->unreported = false; /* it is the joiner's error now */
    return push_outcome(task->co, joined);
  }
  tiny_waiters_add(&joined->joiners, task);
  return tiny_task_park(task, leave_join, joined);
}
