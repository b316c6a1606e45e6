/* SPDX-License-Identifier: MIT
 * parked.h -- what a generation waits for and holds, as text. Loop thread, while none of its
 * Lua runs. */
#ifndef TINY_PARKED_H
#define TINY_PARKED_H

#include "generation.h"
#include "report.h"
#include "task.h"

/* The server's run; NULL when there is none. */
tiny_task *tiny_parked_run(const tiny_generation *generation);

/* What a task is, and its stack. */
void tiny_parked_put_task(tiny_report *report, const tiny_task *task);

/* All tasks, run first, as far as they are not too many. The timers' own is not told while none is due. */
void tiny_parked_put(tiny_report *report, const tiny_generation *generation);

/* A line that counts what is open, by kind; nothing when nothing is. */
void tiny_parked_put_handles(tiny_report *report, const tiny_generation *generation);

#endif
