/* SPDX-License-Identifier: MIT
 * carry.c -- a plain recursive copy. */
#include "carry.h"

#include <lauxlib.h>
#include <stdio.h>

typedef struct copy {
  lua_State *from, *to;
  const char *name;
  char *why;
  size_t why_size;
  int seen_from, seen_to, rc, index;
} copy;

static void value(copy *c, int depth);

static void table(copy *c, int depth) {
  lua_pushvalue(c->from, -1);
  lua_rawget(c->from, c->seen_from);
  int id = (int)lua_tointeger(c->from, -1);
  lua_pop(c->from, 1);
  if (id) {
    lua_rawgeti(c->to, c->seen_to, id);
    return;
  }
  lua_newtable(c->to);
  lua_pushvalue(c->to, -1);
  id = (int)lua_objlen(c->to, c->seen_to) + 1;
  lua_rawseti(c->to, c->seen_to, id);
  lua_pushvalue(c->from, -1);
  lua_pushinteger(c->from, id);
  lua_rawset(c->from, c->seen_from);
  luaL_checkstack(c->from, 8, NULL);
  luaL_checkstack(c->to, 8, NULL);
  for (lua_pushnil(c->from); lua_next(c->from, -2); lua_pop(c->from, 1)) {
    lua_pushvalue(c->from, -2);
    value(c, depth + 1);
    lua_pop(c->from, 1);
    value(c, depth + 1);
    lua_rawset(c->to, -3);
  }
}

static void value(copy *c, int depth) {
  size_t size;
  const char *text;
  if (depth > 180) luaL_error(c->from, "%s is nested too deep", c->name);
  switch (lua_type(c->from, -1)) {
  case LUA_TNIL: lua_pushnil(c->to); break;
  case LUA_TBOOLEAN: lua_pushboolean(c->to, lua_toboolean(c->from, -1)); break;
  case LUA_TNUMBER: lua_pushnumber(c->to, lua_tonumber(c->from, -1)); break;
  case LUA_TSTRING:
    text = lua_tolstring(c->from, -1, &size);
    lua_pushlstring(c->to, text, size);
    break;
  case LUA_TTABLE: table(c, depth); break;
  default: luaL_error(c->from, "%s holds a %s", c->name, luaL_typename(c->from, -1));
  }
}

static int run(lua_State *L) {
  copy *c = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->index);
  lua_newtable(L);
  c->seen_from = lua_gettop(L);
  lua_newtable(c->to);
  c->seen_to = lua_gettop(c->to);
  lua_pushvalue(L, 2);
  value(c, 0);
  c->rc = 0;
  return 0;
}

int tiny_carry(lua_State *from, int index, lua_State *to, const char *name, tiny_carry_fn hand_over,
               void *data, char *why, size_t why_size) {
  (void)hand_over, (void)data;
  int top = lua_gettop(to);
  lua_pushvalue(from, index);
  copy c = {from, to, name, why, why_size, 0, 0, -1, luaL_ref(from, LUA_REGISTRYINDEX)};
  if (lua_cpcall(from, run, &c) != 0) {
    snprintf(why, why_size, "%s", lua_tostring(from, -1));
    lua_pop(from, 1);
    lua_settop(to, top);
  } else {
    lua_replace(to, top + 1);
    lua_settop(to, top + 1);
  }
  luaL_unref(from, LUA_REGISTRYINDEX, c.index);
  return c.rc;
}
