/* SPDX-License-Identifier: MIT
 * apart.h -- from a signal handler, do what might crash, or wait for ever for a lock: in a
 * copy of the process, which may come to grief without harm. */
#ifndef TINY_APART_H
#define TINY_APART_H

#include "report.h"

typedef struct tiny_apart tiny_apart; /* shared memory for what the copy has to say */

/* Returns NULL when memory is short. Any thread. */
tiny_apart *tiny_apart_open(void);
void tiny_apart_close(tiny_apart *apart); /* NULL is allowed */

/* Call 'fn' in a copy of the process, of which only the calling thread runs, and give it 'ms' to
 * end. Returns what it put into its report, "" when nothing; valid until the next call.
 * One thread at a time; signal handlers too. */
const char *tiny_apart_tell(tiny_apart *apart, void (*fn)(tiny_report *report, const void *data),
                            const void *data, unsigned ms);

#endif
