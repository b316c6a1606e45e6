/* SPDX-License-Identifier: MIT
 * module.c -- the store as a Lua module, and the policy as a C function. */
#include "module.h"

#include <lauxlib.h>
#include <stdio.h>

/* New code is loaded on another thread while the old one serves: it must not touch the store yet. */
static store *store_of(lua_State *L) {
  if (tiny_loading(L)) luaL_error(L, "kv while the script is being loaded: on_start may use it");
  return tiny_data(tiny_of(L));
}

static int l_get(lua_State *L) {
  lua_pushstring(L, store_get(store_of(L), luaL_checkstring(L, 1)));
  return 1;
}

static int l_set(lua_State *L) {
  if (store_set(store_of(L), luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL)) != 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

static int l_count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)store_count(store_of(L)));
  return 1;
}

int module_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"get", l_get}, {"set", l_set}, {"count", l_count}, {NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}

static int ask(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  tiny_push_server(L);
  lua_getfield(L, -1, "admit");
  lua_insert(L, -2); /* admit server */
  lua_pushstring(L, q->op);
  lua_pushstring(L, q->key);
  lua_pushstring(L, q->value);
  lua_call(L, 4, 2); /* value reason */
  q->admitted = lua_toboolean(L, -2);
  const char *text = q->admitted ? q->value : lua_tostring(L, -1);
  if (lua_isstring(L, -2)) text = lua_tostring(L, -2);
  snprintf(q->answer, sizeof q->answer, "%s", text ? text : "");
  return 0;
}

int module_ask(tiny *runtime, question *q, char *why, size_t why_size) {
  return tiny_call(runtime, ask, q, why, why_size);
}
