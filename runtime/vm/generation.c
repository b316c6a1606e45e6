/* SPDX-License-Identifier: MIT
 * generation.c -- building a state, calling its driver, closing it. */
#include "generation.h"
#include "api.h"
#include "api_log.h"
#include "guard.h"
#include "modules.h"
#include "runtime.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char generation_key; /* its address is the registry key */

tiny_generation *tiny_generation_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&generation_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  tiny_generation *g = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return g;
}

tiny_generation *tiny_generation_acting_at(lua_State *L, int level, const char *what) {
  tiny_generation *g = tiny_generation_of(L);
  if (g->life >= TINY_ENTERED) return g;
  luaL_where(L, level);
  lua_pushfstring(
      L,
      g->of_thread
          ? "%s in a thread timer: it has a thread of its own and may block instead"
          : "%s while the script is being loaded: top-level code only defines, on_start acts",
      what);
  lua_concat(L, 2);
  lua_error(L);
  return NULL;
}

tiny_generation *tiny_generation_acting(lua_State *L, const char *what) {
  return tiny_generation_acting_at(L, 2, what);
}

int tiny_misuse(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  luaL_where(L, 2);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  lua_error(L);
  abort(); /* lua_error does not come back */
}

/* -- opening and closing -- */

/* A package.loaders entry for the modules compiled in: they are never looked for on disk. */
static int find_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const tiny_module *m = tiny_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    if (luaL_loadbuffer(L, (const char *)m->code, m->size, name) != 0) return lua_error(L);
    return 1;
  }
  return 0;
}

static void add_finder(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaders"); /* package loaders */
  for (int i = (int)lua_objlen(L, -1); i >= 1; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, find_module);
  lua_rawseti(L, -2, 1);
  lua_getfield(L, -2, "preload"); /* package loaders preload */
  for (const luaL_Reg *m = tiny_core_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_pop(L, 3);
}

static int setup(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, (void *)&generation_key);
  lua_pushlightuserdata(L, g);
  lua_rawset(L, LUA_REGISTRYINDEX);
  tiny_log_bind(L, g->runtime->log);
  luaL_openlibs(L);
  lua_pushcfunction(L, tiny_guard_open);
  lua_call(L, 0, 0);
  add_finder(L);
  tiny_host_open(L, g->runtime);
  return 0;
}

tiny_generation *tiny_generation_new(tiny *runtime, uint64_t number) {
  tiny_generation *g = calloc(1, sizeof *g);
  if (!g) return NULL;
  g->runtime = runtime;
  g->scheduler = runtime->scheduler;
  g->number = number;
  g->due_slots = LUA_NOREF;
  return g;
}

int tiny_generation_open(tiny_generation *g) {
  g->L = luaL_newstate();
  return g->L && lua_cpcall(g->L, setup, g) == 0 ? 0 : -1;
}

/* C modules may have left threads and callbacks behind: they stay mapped when their state goes. */
static int keep_modules(lua_State *L) {
  static const char prefix[] = "LOADLIB: ";
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    if (strncmp(key, prefix, sizeof prefix - 1) == 0)
      dlopen(key + sizeof prefix - 1, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
  return 0;
}

void tiny_generation_close(tiny_generation *g) {
  if (g->L) {
    lua_cpcall(g->L, keep_modules, NULL);
    tiny_allocator_close(&g->allocator, g->L);
  }
  tiny_conf_drop(g->conf);
  json_decref(g->shared);
  free(g);
}

/* -- calling the driver -- */

typedef struct driver_call {
  tiny_generation *generation;
  const char *name, *argument;
} driver_call;

static int push_call(lua_State *L, void *data) {
  const driver_call *call = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->generation->driver);
  lua_getfield(L, -1, call->name);
  if (call->argument)
    lua_pushstring(L, call->argument);
  else
    lua_pushnil(L);
  return 2;
}

tiny_task *tiny_generation_start(tiny_generation *g, tiny_task_kind kind, const char *name,
                                 const char *argument, void (*on_end)(tiny_task *)) {
  driver_call call = {g, name, argument};
  tiny_task *task = tiny_task_begin(g, kind, push_call, &call, name);
  if (!task) return NULL;
  task->on_end = on_end;
  task->name = name;
  tiny_task_ready(task, 1);
  return task;
}

static int call_protected(lua_State *L) {
  push_call(L, lua_touserdata(L, 1));
  lua_call(L, 1, 0);
  return 0;
}

int tiny_generation_call(tiny_generation *g, const char *name) {
  return tiny_lua_try(g, call_protected, &(driver_call){g, name, NULL}, name);
}

static int enter_protected(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->driver);
  lua_getfield(L, -1, "enter");
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->context);
  lua_pushinteger(L, (lua_Integer)g->number);
  lua_createtable(L, g->runtime->argc, 0);
  for (int i = 0; i < g->runtime->argc; i++) {
    lua_pushstring(L, g->runtime->argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  uint64_t token = tiny_duty_token(g->runtime->duty);
  if (token)
    lua_pushnumber(L, (double)token);
  else
    lua_pushnil(L);
  lua_call(L, 4, 1);
  g->server = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

int tiny_generation_enter(tiny_generation *g, char *why, size_t why_size) {
  if (tiny_lua_call(g, enter_protected, g) == 0) return 0;
  snprintf(why, why_size, "%s", lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
  return -1;
}
