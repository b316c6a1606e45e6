/* SPDX-License-Identifier: MIT
 * executor.h -- the timers of a generation, as the rest of the runtime sees them. Loop thread. */
#ifndef TINY_EXECUTOR_H
#define TINY_EXECUTOR_H

#include "generation.h"

/* Handler of TINY_DUE_TIMER. */
void tiny_executor_on_due(void *data, tiny_due id, uint64_t word, uint64_t now);

/* No timer of it fires any more; a function that runs goes on. May be repeated. */
void tiny_executor_stop(tiny_generation *generation);

int luaopen_tiny_timer(lua_State *L); /* tiny.core.timer */

#endif
