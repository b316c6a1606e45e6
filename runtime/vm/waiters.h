/* SPDX-License-Identifier: MIT
 * waiters.h -- tasks that wait for the same, the longest waiting first. A zeroed line is empty; a task is in
 * one at a time. Loop thread. */
#ifndef TINY_WAITERS_H
#define TINY_WAITERS_H

#include <limits.h>

typedef struct tiny_task tiny_task;

typedef struct tiny_waiters {
  tiny_task *first, **last;
} tiny_waiters;

/* At the end of the line. The caller parks it, with a 'leave' that takes it out. */
void tiny_waiters_add(tiny_waiters *waiters, tiny_task *task);

/* It is in the line. */
void tiny_waiters_remove(tiny_waiters *waiters, tiny_task *task);

/* Take the first one out; NULL: there is none. The caller lets it go on. */
tiny_task *tiny_waiters_take(tiny_waiters *waiters);

/* Let the first so many go on, in the next turn (UINT_MAX: all). */
void tiny_waiters_wake(tiny_waiters *waiters, unsigned most);

#endif
