/* SPDX-License-Identifier: MIT
 * log_repeat.h -- holds back lines that repeat too often within a second, and tells how
 * many it has held back. One thread. */
#ifndef TINY_LOG_REPEAT_H
#define TINY_LOG_REPEAT_H

#include "log_format.h"

typedef struct tiny_repeat tiny_repeat;

tiny_repeat *tiny_repeat_new(void); /* NULL when out of memory */
void tiny_repeat_free(tiny_repeat *repeat);

/* Whether a line may pass: at most 'limit' of the same level, text and fields do within a
 * second by their own time. The others are counted. */
bool tiny_repeat_pass(tiny_repeat *repeat, uint32_t limit, const tiny_line *line);

/* What is to be told at 'time_ns' (since 1970): fills 'line', whose text lives until the next
 * call, and returns true as long as there is something. UINT64_MAX: all, whatever the time. */
bool tiny_repeat_tell(tiny_repeat *repeat, uint64_t time_ns, tiny_line *line);

/* When there is something to tell, in ns since 1970; UINT64_MAX: nothing is held back. */
uint64_t tiny_repeat_due(const tiny_repeat *repeat);

#endif
