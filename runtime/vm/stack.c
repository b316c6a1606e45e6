/* SPDX-License-Identifier: MIT
 * stack.c -- entering protected Lua from C that is not itself protected. */
#include "stack.h"

#include <lauxlib.h>

/* A callee's room is its caller's once it has returned: the stack is one block. */
static int grow(lua_State *L) {
  luaL_checkstack(L, *(int *)lua_touserdata(L, 1), NULL);
  return 0;
}

int tiny_stack_reserve(lua_State *L, int slots) {
  if (lua_cpcall(L, grow, &slots) == 0) return 0;
  lua_pop(L, 1);
  return -1;
}

/* A function pointer as data: its address cannot be a lightuserdata by the letter of C. */
typedef struct keeping {
  lua_CFunction fn;
} keeping;

static int keep(lua_State *L) {
  keeping *k = lua_touserdata(L, 1);
  luaL_checkstack(L, 8, NULL);
  lua_pushlightuserdata(L, (void *)(size_t)k->fn);
  lua_pushcfunction(L, k->fn);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

int tiny_stack_function(lua_State *L, lua_CFunction fn) {
  keeping k = {fn};
  if (lua_cpcall(L, keep, &k) != 0) {
    lua_pop(L, 1);
    return -1;
  }
  lua_pushlightuserdata(L, (void *)(size_t)fn);
  lua_rawget(L, LUA_REGISTRYINDEX);
  return 0;
}
