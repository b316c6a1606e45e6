/* SPDX-License-Identifier: MIT
 * api_runtime.c -- tiny.core.runtime: what a server asks of the runtime around it. */
#include "runtime.h"

#include <lauxlib.h>
#include <stdlib.h>

static tiny *runtime_of(lua_State *L) { return tiny_generation_of(L)->runtime; }

/* The argument, 'otherwise' where there is none, -1 where it is no number. */
static lua_Number number_at(lua_State *L, int index, lua_Number otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  return lua_isnumber(L, index) ? lua_tonumber(L, index) : -1;
}

/* close(delay, code) */
static int l_close(lua_State *L) {
  lua_Number delay = number_at(L, 1, 0), code = number_at(L, 2, 0);
  if (!(delay >= 0)) return tiny_misuse(L, "self:close: a number of seconds from 0 on is expected");
  if (!(code >= 0 && code <= 255))
    return tiny_misuse(L, "self:close: an exit code from 0 to 255 is expected");
  tiny_generation_acting(L, "self:close");
  tiny_closing_ask(runtime_of(L), "close", delay, (int)code);
  return 0;
}

/* exit(code): close as os.exit was asked to, from the state of a thread timer too */
static int l_exit(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  if (!g->of_thread) tiny_generation_acting(L, "os.exit");
  lua_Number code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : number_at(L, 1, 0);
  if (!(code >= 0 && code <= 255))
    return tiny_misuse(L, "os.exit: an exit code from 0 to 255 is expected");
  if (g->of_thread)
    tiny_close(g->runtime, 0, (int)code, NULL, NULL);
  else
    tiny_closing_ask(g->runtime, "close", 0, (int)code);
  return 0;
}

/* fail(code): close because of an error */
static int l_fail(lua_State *L) {
  tiny_closing_ask(runtime_of(L), "error", 0, (int)luaL_checkinteger(L, 1));
  return 0;
}

/* reload() */
static int l_reload(lua_State *L) {
  tiny_generation_acting(L, "self:reload");
  tiny_reload(runtime_of(L), NULL, NULL);
  return 0;
}

/* run_sign(alive): a sign of life of run; false: there is no run any more */
static int l_run_sign(lua_State *L) {
  uint64_t now = lua_toboolean(L, 1) ? tiny_timers_now() : 0;
  atomic_store_explicit(&runtime_of(L)->state.run_sign, now, memory_order_release);
  return 0;
}

/* error(message, trace): for status and feed */
static int l_error(lua_State *L) {
  tiny_state_error(&runtime_of(L)->state, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
  return 0;
}

/* summary(text): for status and feed */
static int l_summary(lua_State *L) {
  tiny_state_summary(&runtime_of(L)->state, luaL_checkstring(L, 1));
  return 0;
}

/* app(name, value, add): a figure of the server's own */
static int l_app(lua_State *L) {
  if (!lua_isstring(L, 1) || !lua_isnumber(L, 2))
    return tiny_misuse(L, "self:%s: a name and a number are expected",
                       lua_toboolean(L, 3) ? "count" : "gauge");
  tiny_state_app(&runtime_of(L)->state, lua_tostring(L, 1), lua_tonumber(L, 2),
                 lua_toboolean(L, 3));
  return 0;
}

/* It was stopped, or short of memory: an error that Lua itself could not tell of. */
static void on_step_end(tiny_task *task) {
  tiny *rt = task->generation->runtime;
  if (!task->failed) return;
  tiny_failure failure = tiny_task_failure(task);
  tiny_err(rt->log, "on_except failed: %s", failure.trace ? failure.trace : "not enough memory");
  tiny_failure_free(&failure);
  tiny_closing_ask(rt, "error", 0, TINY_EXIT_EXCEPT);
}

/* step(fn, a few...): ask on_except in a task that a reload or close does not cancel */
static int l_step(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "a callback");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int count = lua_gettop(L);
  tiny_task *task = tiny_task_new(L, g, TINY_TASK_STEP);
  lua_xmove(L, task->co, count);
  task->name = "on_except";
  task->on_end = on_step_end;
  tiny_task_ready(task, count - 1);
  return 0;
}

/* named(callback): what the step that runs has come to */
static int l_named(lua_State *L) {
  static const char *const names[] = {"on_start", "on_reload", "on_active", NULL};
  tiny_task_here(L, "a step")->name = names[luaL_checkoption(L, 1, NULL, names)];
  return 0;
}

/* start(kind, fn): "run" or "timer" as a task of that kind */
static int l_start(lua_State *L) {
  static const char *const names[] = {"run", "timer", NULL};
  static const tiny_task_kind kinds[] = {TINY_TASK_RUN, TINY_TASK_TIMER};
  tiny_generation *g = tiny_generation_acting(L, "a callback");
  tiny_task_kind kind = kinds[luaL_checkoption(L, 1, NULL, names)];
  luaL_checktype(L, 2, LUA_TFUNCTION);
  tiny_task *task = tiny_task_new(L, g, kind);
  lua_pushvalue(L, 2);
  lua_xmove(L, task->co, 1);
  tiny_task_ready(task, 0);
  return 0;
}

/* now() -> seconds of the monotonic clock */
static int l_now(lua_State *L) {
  lua_pushnumber(L, (double)tiny_timers_now() / 1e9);
  return 1;
}

/* watch(paths): reload when one of these files changes; an empty list: never */
static int l_watch(lua_State *L) {
  tiny *rt = runtime_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t count = lua_objlen(L, 1);
  const char **paths = lua_newuserdata(L, (count + 1) * sizeof *paths);
  luaL_checkstack(L, (int)count, "too many files");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1); /* stays on the stack while its text is used */
    paths[i] = luaL_checkstring(L, -1);
  }
  unsigned failed = tiny_watch_files(rt->watch, paths, count);
  if (failed > 0) tiny_warn(rt->log, "svr.watch: %u of %zu files cannot be watched", failed, count);
  return 0;
}

/* acting(what): raises, where the caller of the Lua function stands, while the script is loaded */
static int l_acting(lua_State *L) {
  tiny_generation_acting(L, luaL_checkstring(L, 1));
  return 0;
}

static const luaL_Reg functions[] = {
    {"close", l_close}, {"fail", l_fail},       {"reload", l_reload}, {"run_sign", l_run_sign},
    {"error", l_error}, {"summary", l_summary}, {"app", l_app},       {"step", l_step},
    {"start", l_start}, {"now", l_now},         {"exit", l_exit},     {"acting", l_acting},
    {"watch", l_watch}, {"named", l_named},     {NULL, NULL},
};

int luaopen_tiny_runtime(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
