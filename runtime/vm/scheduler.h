/* SPDX-License-Identifier: MIT
 * scheduler.h -- the queue of tasks that are about to run, one for all generations of a
 * runtime. Those in it run in order, in the next turn of the loop. Loop thread only. */
#ifndef TINY_SCHEDULER_H
#define TINY_SCHEDULER_H

#include <uv.h>

typedef struct tiny_scheduler tiny_scheduler;
typedef struct tiny_task tiny_task;
typedef struct tiny_generation tiny_generation;

/* NULL when out of memory. */
tiny_scheduler *tiny_scheduler_open(uv_loop_t *loop);
void tiny_scheduler_close(tiny_scheduler *scheduler); /* frees in the handle's close callback */

/* Let it run. Harmless on one that is in the queue. */
void tiny_scheduler_push(tiny_scheduler *scheduler, tiny_task *task);

/* Take all tasks of a generation out. */
void tiny_scheduler_forget(tiny_scheduler *scheduler, const tiny_generation *generation);

/* How many are in it. */
unsigned tiny_scheduler_ready(const tiny_scheduler *scheduler);

#endif
