/* SPDX-License-Identifier: MIT
 * trace.h -- a Lua stack as text, for people. */
#ifndef TINY_TRACE_H
#define TINY_TRACE_H

#include "report.h"
#include <lua.h>

/* Add the frames of thread 'L', innermost first, a line each, such as
 * "  app.lua:12: in function 'spin'". Allocates nothing and does not raise. Only where
 * Lua itself could be called: in a hook, a C function, or while 'L' is parked; elsewhere it may
 * crash, and the innermost line may be wrong (tiny_apart_tell). */
void tiny_trace_put(tiny_report *report, lua_State *L);

#endif
