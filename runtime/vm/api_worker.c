/* SPDX-License-Identifier: MIT
 * api_worker.c -- tiny.core.worker: thread timers for lua/tiny/timer.lua. */
#include "runtime.h"
#include "worker.h"

#include <lauxlib.h>

static const tiny_carry_terms setup_terms = {.name = "setup"};

/* open(key, setup) -> id */
static int l_open(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "a thread timer");
  const char *key = luaL_checkstring(L, 1);
  tiny_parcel setup;
  char why[TINY_WHY];
  if (tiny_carry_pack(L, 2, &setup_terms, &setup, why, sizeof why) != 0)
    return luaL_error(L, "%s", why);
  unsigned id = tiny_worker_open(g, key, setup);
  if (!id) return luaL_error(L, "no thread for timer \"%s\" could be had", key);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* call(id, missed) */
static int l_call(lua_State *L) {
  tiny_worker_call(tiny_generation_of(L), (unsigned)luaL_checkinteger(L, 1),
                   luaL_checknumber(L, 2));
  return 0;
}

/* close(id) */
static int l_close(lua_State *L) {
  tiny_worker_close(tiny_generation_of(L), (unsigned)luaL_checkinteger(L, 1));
  return 0;
}

static const luaL_Reg functions[] = {
    {"open", l_open}, {"call", l_call}, {"close", l_close}, {NULL, NULL}};

int luaopen_tiny_worker(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
