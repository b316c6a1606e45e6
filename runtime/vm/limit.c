/* SPDX-License-Identifier: MIT
 * limit.c -- tiny.core.limit: begin and end a stretch with a deadline. */
#include "limit.h"
#include "generation.h"
#include "runtime.h"

#include <lauxlib.h>
#include <stdlib.h>

struct tiny_limit {
  tiny_task *task;
  tiny_limit *outer;
  tiny_due due; /* 0 once it has passed */
  bool told;    /* it has passed, and a wait has raised since */
  int depth;    /* 1 is the outermost */
};

void tiny_limit_on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  tiny_limit *limit = (tiny_limit *)(uintptr_t)word;
  (void)data, (void)id, (void)now;
  limit->due = 0;
  tiny_task_expire(limit->task);
}

void tiny_limits_tell(tiny_task *task) {
  for (tiny_limit *limit = task->limits; limit; limit = limit->outer)
    if (!limit->due) limit->told = true;
}

/* Take the innermost one off. Returns whether it has cut something short. */
static bool drop(tiny_task *task) {
  tiny_limit *limit = task->limits;
  bool told = limit->told;
  task->limits = limit->outer;
  if (limit->due)
    tiny_timers_remove(task->generation->runtime->timers, limit->due);
  else
    task->expired--;
  free(limit);
  return told;
}

void tiny_limits_drop(tiny_task *task) {
  while (task->limits) drop(task);
}

/* begin(seconds) -> depth: every wait raises from then on, until finish(depth) */
static int l_begin(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "seconds must be a number from 0 on");
  tiny_task *task = tiny_task_here(L, "tiny.timeout");
  tiny_limit *limit = malloc(sizeof *limit);
  if (!limit) return luaL_error(L, "not enough memory");
  *limit = (tiny_limit){.task = task, .outer = task->limits, .depth = 1};
  if (limit->outer) limit->depth += limit->outer->depth;
  limit->due = tiny_timers_add(task->generation->runtime->timers, tiny_timers_after(seconds),
                               TINY_DUE_LIMIT, (uintptr_t)limit);
  if (!limit->due) {
    free(limit);
    return luaL_error(L, "not enough memory");
  }
  task->limits = limit;
  lua_pushinteger(L, limit->depth);
  return 1;
}

/* finish(depth) -> whether it has cut the stretch short: what ended just in time is not late.
 * Inner ones that an error left behind go, too. */
static int l_finish(lua_State *L) {
  lua_Integer depth = luaL_checkinteger(L, 1);
  tiny_task *task = tiny_generation_of(L)->current;
  bool told = false;
  while (task && task->limits && task->limits->depth >= depth) told = drop(task);
  lua_pushboolean(L, told);
  return 1;
}

static const luaL_Reg functions[] = {{"begin", l_begin}, {"finish", l_finish}, {NULL, NULL}};

int luaopen_tiny_limit(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
