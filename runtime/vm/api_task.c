/* SPDX-License-Identifier: MIT
 * api_task.c -- tiny.core.task: tasks as Lua handles them. A handle is a box with the task in it,
 * which is empty once the task's generation is over. */
#include "generation.h"
#include "runtime.h"
#include "task.h"

#include <lauxlib.h>
#include <string.h>

#define TASK "tiny.task"

static tiny_task *check_task(lua_State *L, int index) {
  tiny_task *task = *(tiny_task **)luaL_checkudata(L, index, TASK);
  luaL_argcheck(L, task, index, "its generation is over");
  return task;
}

static void note_origin(lua_State *L, tiny_task *task) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "Sl", &ar)) return;
  size_t size = strlen(ar.short_src), room = sizeof task->started_at - 1;
  memcpy(task->started_at, ar.short_src + (size > room ? size - room : 0),
         (size > room ? room : size) + 1);
  task->started_line = ar.currentline;
}

/* sleep(seconds) */
static int l_sleep(lua_State *L) {
  lua_Number seconds = lua_isnumber(L, 1) ? lua_tonumber(L, 1) : -1;
  if (!(seconds >= 0))
    return tiny_misuse(L, "tiny.sleep: a number of seconds from 0 on is expected");
  return tiny_task_sleep(tiny_task_here(L, "tiny.sleep"), seconds);
}

/* lua_checkstack() would raise where nobody is to catch it when memory is short, and for a few there
 * always is room. */
static bool has_room(lua_State *co, int count) { return count <= 10 || lua_checkstack(co, count); }

/* go(fn, ...) -> task */
static int l_go(lua_State *L) {
  tiny_generation *g = tiny_generation_acting_at(L, 1, "tiny.go");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int count = lua_gettop(L);
  tiny_task **box = lua_newuserdata(L, sizeof *box);
  *box = NULL;
  luaL_getmetatable(L, TASK);
  lua_setmetatable(L, -2);
  tiny_task *task = tiny_task_new(L, g, TINY_TASK_GO);
  *box = task;
  task->box = box;
  note_origin(L, task);
  lua_insert(L, 1); /* box fn ... */
  if (!has_room(task->co, count)) {
    task->cancelled = true; /* it ends without having begun */
    tiny_task_ready(task, 0);
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, task->co, count);
  tiny_task_ready(task, count - 1);
  return 1;
}

/* join(task) -> ok, results or error */
static int l_join(lua_State *L) {
  tiny_task *joined = check_task(L, 1);
  tiny_task *task = tiny_task_here(L, "task:join");
  luaL_argcheck(L, joined != task, 1, "a task cannot join itself");
  return tiny_task_join(task, joined);
}

/* cancel(task) */
static int l_cancel(lua_State *L) {
  tiny_task_cancel(check_task(L, 1));
  return 0;
}

/* origin(task) -> coroutine, where it was started: for a traceback of one that has failed */
static int l_origin(lua_State *L) {
  tiny_task *task = check_task(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->co_ref);
  lua_pushfstring(L, "%s:%d", task->started_at, task->started_line);
  return 2;
}

/* done(task) -> bool */
static int l_done(lua_State *L) {
  lua_pushboolean(L, check_task(L, 1)->ended);
  return 1;
}

static int l_gc(lua_State *L) {
  tiny_task *task = *(tiny_task **)luaL_checkudata(L, 1, TASK);
  if (!task) return 0;
  tiny_task_let_go(task);
  return 0;
}

/* cancel_self(): the running task ends at its next wait */
static int l_cancel_self(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  if (g->current) tiny_task_cancel(g->current);
  return 0;
}

/* failure(code) -> message, NAME: of a negative UV code */
static int l_failure(lua_State *L) {
  int code = (int)luaL_checkinteger(L, 1);
  lua_pushstring(L, code == UV_ETIMEDOUT ? "timeout" : uv_strerror(code));
  lua_pushstring(L, uv_err_name(code));
  return 2;
}

/* ready() -> how many tasks are about to run */
static int l_ready(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tiny_scheduler_ready(tiny_generation_of(L)->scheduler));
  return 1;
}

static const luaL_Reg functions[] = {
    {"ready", l_ready},
    {"sleep", l_sleep},
    {"go", l_go},
    {"join", l_join},
    {"cancel", l_cancel},
    {"done", l_done},
    {"cancel_self", l_cancel_self},
    {"failure", l_failure},
    {"origin", l_origin},
    {NULL, NULL},
};

int luaopen_tiny_task(lua_State *L) {
  luaL_newmetatable(L, TASK);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "methods"); /* the metatable, for lua/tiny/task.lua */
  return 1;
}
