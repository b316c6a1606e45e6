/* SPDX-License-Identifier: MIT
 * trace.h -- a Lua stack as text, for people. */
#ifndef TINY_TRACE_H
#define TINY_TRACE_H

#include "report.h"
#include <lua.h>

/* Add the frames of thread 'L', innermost first, a line each, such as
 * "  app.lua:12: in function 'spin'". Allocates nothing and does not raise. Only where
 * Lua itself could be called: in a hook, a C function, or while 'L' is parked. */
void tiny_trace_put(tiny_report *report, lua_State *L);

/* The same from a signal handler, while 'L' may be anywhere: the walk is done by a
 * copy of the process, which may crash without harm and gets 'ms' to end. The innermost
 * line may be wrong. 'text' must be shared memory (mmap), of 'size' bytes.
 * Returns whether something was found. */
int tiny_trace_guess(lua_State *L, char *text, size_t size, unsigned ms);

#endif
