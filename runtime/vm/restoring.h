/* SPDX-License-Identifier: MIT
 * restoring.h -- the context of before, brought back into the first generation. Loop thread. */
#ifndef TINY_RESTORING_H
#define TINY_RESTORING_H

#include "generation.h"

typedef struct tiny_restoring tiny_restoring;

/* Look, on a helper thread, for the newest good checkpoint and make it the generation's
 * context; the generation is the helper's meanwhile. What a killed process has left half-written
 * is removed. Returns NULL when memory or the thread could not be had. */
tiny_restoring *tiny_restoring_begin(tiny *runtime, tiny_generation *generation);

bool tiny_restoring_done(const tiny_restoring *restoring);

/* Once done: tell the log and the saver what was found, and free. Returns 0, also when nothing was there
 * or svr.checkpoint.on_damage lets the server begin with nothing; or -1 with the reason in 'why'. */
int tiny_restoring_end(tiny_restoring *restoring, char *why, size_t why_size);

#endif
