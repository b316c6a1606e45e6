/* SPDX-License-Identifier: MIT
 * api.h -- the C modules that every state can require as tiny.core.*. */
#ifndef TINY_API_MODULES_H
#define TINY_API_MODULES_H

#include <lauxlib.h>

/* Ends with a row whose name is NULL. */
extern const luaL_Reg tiny_core_modules[];

#endif
