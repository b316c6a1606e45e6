/* SPDX-License-Identifier: MIT
 * plain.c -- LuaJIT as a library and nothing else: what a host pays before it does anything. */
#include <lauxlib.h>
#include <lualib.h>

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  return argc > 1 ? luaL_dofile(L, argv[1]) : 1;
}
