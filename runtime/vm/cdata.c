/* SPDX-License-Identifier: MIT
 * cdata.c -- 64-bit integers of LuaJIT. */
#include "cdata.h"

#include <lauxlib.h>

void tiny_cdata_push_types(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "ffi");
  lua_call(L, 1, 1); /* ffi */
  lua_getfield(L, -1, "istype");
  lua_getfield(L, -2, "typeof");
  lua_remove(L, -3); /* istype typeof */
  lua_pushvalue(L, -1);
  lua_pushliteral(L, "int64_t");
  lua_call(L, 1, 1);
  lua_insert(L, -2); /* istype int64 typeof */
  lua_pushliteral(L, "uint64_t");
  lua_call(L, 1, 1);
}
