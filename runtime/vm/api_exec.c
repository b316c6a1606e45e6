/* SPDX-License-Identifier: MIT
 * api_exec.c -- tiny.core.exec: processes that tasks wait for. */
#include "child.h"
#include "handle.h"
#include "runtime.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static void drop(void *thing) { tiny_child_abandon(thing); }

static const tiny_handle_kind kind = {"tiny.child", "tiny.exec", drop, NULL, NULL};

static void on_over(tiny_child *child) {
  tiny_task *task = child->owner;
  child->owner = NULL;
  if (task) tiny_task_resume(task);
}

/* -- starting -------------------------------------------------------------- */

/* The strings of the list at 'index', NULL after the last. Collected with the state's garbage. */
static char **check_strings(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  int count = (int)lua_objlen(L, index);
  char **strings = lua_newuserdata(L, ((size_t)count + 1) * sizeof *strings);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, index, i + 1);
    strings[i] = (char *)luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  strings[count] = NULL;
  return strings;
}

/* start(argv, envp, cwd, input, limit) -> child | nil, code */
static int l_start(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.exec");
  tiny_sockets *sockets = g->runtime->sockets;
  size_t input_size;
  int rc;
  lua_settop(L, 5);
  tiny_program command = {.argv = check_strings(L, 1), .cwd = luaL_optstring(L, 3, NULL)};
  if (!lua_isnil(L, 2)) command.envp = check_strings(L, 2);
  const char *input = luaL_checklstring(L, 4, &input_size);
  lua_Number limit = luaL_checknumber(L, 5);
  tiny_handle *handle = tiny_handle_new(L, &kind);
  tiny_child *child = tiny_child_start(sockets->harbour.poller, &sockets->children, &command, input,
                                       input_size, limit < 1e15 ? (size_t)limit : SIZE_MAX, &rc);
  if (!child) return tiny_failed(L, rc);
  child->on_over = on_over;
  tiny_handle_set(handle, child);
  return 1;
}

/* environ() -> list of "NAME=value" */
static int l_environ(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; environ[i]; i++) {
    lua_pushstring(L, environ[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* -- waiting --------------------------------------------------------------- */

/* Cancelled or too late: nobody will ask for its outcome. */
static void leave(tiny_task *task) {
  tiny_child *child = task->source;
  child->owner = NULL;
  tiny_child_kill(child);
}

static int push_outcome(lua_State *L, const tiny_child *child) {
  int code = child->failed ? child->failed : child->code;
  if (code < 0) return tiny_wait_failed(L, code);
  tiny_wait_over(L);
  lua_pushinteger(L, code);
  lua_pushlstring(L, child->out.data, child->out.size);
  lua_pushlstring(L, child->err.data, child->err.size);
  return 5;
}

/* wait(child, deadline) -> exit code, stdout, stderr */
static int l_wait(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  tiny_child *child = handle->thing;
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "tiny.exec");
  if (!child) return tiny_wait_failed(L, UV_ECANCELED);
  if (!child->over && !tiny_wait_late(deadline)) {
    child->owner = task;
    return tiny_task_park_until(task, leave, child, deadline);
  }
  int results = child->over ? push_outcome(L, child) : tiny_wait_failed(L, UV_ETIMEDOUT);
  tiny_handle_close(handle);
  return results;
}

static const luaL_Reg functions[] = {
    {"start", l_start}, {"environ", l_environ}, {"wait", l_wait}, {NULL, NULL}};

int luaopen_tiny_exec(lua_State *L) {
  tiny_handle_register(L, &kind);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
