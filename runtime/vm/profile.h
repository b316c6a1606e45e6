/* SPDX-License-Identifier: MIT
 * profile.h -- where the held VM spends its time: samples, counted by Lua stack. */
#ifndef TINY_PROFILE_H
#define TINY_PROFILE_H

#include "interrupt.h"

typedef struct tiny_profile tiny_profile;

/* Begin to sample every 'span_ns'. Returns NULL when out of memory. One at a time; any thread but
 * the loop's. Lua pays for what it uses: some us a sample. */
tiny_profile *tiny_profile_begin(tiny_interrupt *interrupt, uint64_t span_ns);

/* End it. Returns the folded stacks: lines of "outermost;...;innermost count", to be freed with
 * free(). NULL when out of memory. Same thread. */
char *tiny_profile_end(tiny_profile *profile);

#endif
