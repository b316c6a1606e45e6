/* SPDX-License-Identifier: MIT
 * stack.h -- entering protected Lua from C that is not itself protected. */
#ifndef TINY_STACK_H
#define TINY_STACK_H

#include <lua.h>

/* Make room for 'slots' more values, at most some 7900. Returns 0, or -1 when memory or the
 * limit forbids it. Unlike lua_checkstack() it never raises, outside of protected calls too. */
int tiny_stack_reserve(lua_State *L, int slots);

/* Push 'fn' for a lua_pcall() with arguments and results, which lua_cpcall() cannot have, and
 * reserve 8 slots for those. The function stays in the registry for the next time.
 * Returns 0, or -1 when out of memory. Never raises. */
int tiny_stack_function(lua_State *L, lua_CFunction fn);

#endif
