/* SPDX-License-Identifier: MIT
 * stack.h -- room on a Lua stack. */
#ifndef TINY_STACK_H
#define TINY_STACK_H

#include <lua.h>

/* Make room for 'slots' more values, at most some 7900. Returns 0, or -1 when memory or the
 * limit forbids it. Unlike lua_checkstack() it never raises, outside of protected calls too. */
int tiny_stack_reserve(lua_State *L, int slots);

#endif
