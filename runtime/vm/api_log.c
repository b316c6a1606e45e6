/* SPDX-License-Identifier: MIT
 * api_log.c -- tiny.core.log: lines from Lua into the log. */
#include "runtime.h"

#include <lauxlib.h>

/* put(level, text) */
static int l_put(lua_State *L) {
  size_t size;
  lua_Debug ar;
  tiny_where where = {NULL, NULL, 0};
  const char *text = luaL_checklstring(L, 2, &size);
  if (lua_getstack(L, 2, &ar) && lua_getinfo(L, "Sl", &ar))
    where = (tiny_where){ar.short_src, NULL, ar.currentline};
  tiny_log_put(tiny_generation_of(L)->runtime->log, (tiny_level)luaL_checkinteger(L, 1), &where,
               text, size, NULL);
  return 0;
}

int luaopen_tiny_log(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_put);
  lua_setfield(L, -2, "put");
  return 1;
}
