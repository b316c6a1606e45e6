/* SPDX-License-Identifier: MIT
 * build.h -- making a generation of what conf.lua and the script say. */
#ifndef TINY_BUILD_H
#define TINY_BUILD_H

#include "generation.h"

enum { TINY_FIRST_LOAD_MS = 5000 }; /* while no conf.lua has been read that says svr.load_timeout */

/* Open its state, evaluate and check conf.lua, run the script. 'timeout_ms' holds until conf.lua has
 * said its own. Returns 0, or -1 with the reason, file and line in 'why'. Blocks; made for a helper
 * thread. */
int tiny_generation_load(tiny_generation *generation, const char *conf, const char *script,
                         uint64_t timeout_ms, char *why, size_t why_size);

#endif
