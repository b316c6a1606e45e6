/* SPDX-License-Identifier: MIT
 * stack.c -- room on a Lua stack. */
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
