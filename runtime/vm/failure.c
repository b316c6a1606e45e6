/* SPDX-License-Identifier: MIT
 * failure.c -- a task's error as text, and to on_except. */
#include "failure.h"
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

typedef struct failure_call {
  tiny_task *task;
  tiny_failure failure;
} failure_call;

/* driver.describe(co, err, started_at, stopped_at) -> message, trace */
static void describe(lua_State *L, tiny_task *task) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->generation->driver);
  lua_getfield(L, -1, "describe");
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->co_ref);
  lua_pushvalue(task->co, -1);
  lua_xmove(task->co, L, 1);
  if (task->started_line > 0)
    lua_pushfstring(L, "%s:%d", task->started_at, task->started_line);
  else
    lua_pushnil(L);
  lua_pushstring(L, task->trace);
  lua_call(L, 4, 2);
}

static int failure_protected(lua_State *L) {
  failure_call *call = lua_touserdata(L, 1);
  describe(L, call->task);
  call->failure.message = strdup(lua_tostring(L, -2));
  call->failure.trace = strdup(lua_tostring(L, -1));
  return 0;
}

tiny_failure tiny_task_failure(tiny_task *task) {
  failure_call call = {task, {NULL, NULL}};
  tiny_generation *g = task->generation;
  if (tiny_lua_call(g, failure_protected, &call) != 0) lua_pop(g->L, 1);
  return call.failure;
}

void tiny_failure_free(tiny_failure *failure) {
  free(failure->message);
  free(failure->trace);
  *failure = (tiny_failure){NULL, NULL};
}

/* driver.report(err, trace) */
static int report_protected(lua_State *L) {
  tiny_task *task = lua_touserdata(L, 1);
  describe(L, task);
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->generation->driver);
  lua_getfield(L, -1, "report");
  lua_pushvalue(task->co, -1);
  lua_xmove(task->co, L, 1);
  lua_pushvalue(L, -4); /* message trace driver report err | trace */
  lua_call(L, 2, 0);
  return 0;
}

void tiny_generation_report(tiny_generation *g, tiny_task *task) {
  tiny_lua_try(g, report_protected, task, "an error could not be reported");
}
