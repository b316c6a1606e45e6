/* SPDX-License-Identifier: MIT
 * context.h -- the context out of one generation, into the next or into a checkpoint. */
#ifndef TINY_CONTEXT_H
#define TINY_CONTEXT_H

#include "carry.h"
#include "generation.h"

/* The context out of one generation and into the next, in place of its empty one. Unpacking
 * needs only the new state, so a helper may do it. Return 0, or -1 with the reason. */
int tiny_generation_pack(tiny_generation *from, tiny_parcel *parcel, char *why, size_t why_size);
int tiny_generation_unpack(tiny_generation *to, const tiny_parcel *parcel, char *why,
                           size_t why_size);

/* The same for a checkpoint, whose bytes outlive the process: streams are left out. */
int tiny_generation_save(tiny_generation *from, tiny_parcel *parcel, char *why, size_t why_size);
int tiny_generation_restore(tiny_generation *to, const tiny_parcel *parcel, char *why,
                            size_t why_size);

#endif
