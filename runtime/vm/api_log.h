/* SPDX-License-Identifier: MIT
 * api_log.h -- a state's way to the log. */
#ifndef TINY_API_LOG_H
#define TINY_API_LOG_H

#include "log.h"
#include <lua.h>

/* Say where lines of this state go; before anything requires tiny.core.log.
 * The log outlives the state. May raise (memory). */
void tiny_log_bind(lua_State *L, tiny_log *log);

/* Bring what the state's Lua knows of the log's levels up to date: after a configure
 * and when tiny_log_on_threshold() says so. On the state's own thread, when it is idle
 * or in a C function. Never raises. */
void tiny_log_refresh(lua_State *L);

int luaopen_tiny_log(lua_State *L); /* tiny.core.log */

#endif
