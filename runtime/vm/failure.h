/* SPDX-License-Identifier: MIT
 * failure.h -- what a task died of. */
#ifndef TINY_FAILURE_H
#define TINY_FAILURE_H

#include "generation.h"

/* What a failed task died of. 'message' is one line where Lua gave one. Both are for free(). */
typedef struct tiny_failure {
  char *message, *trace;
} tiny_failure;
tiny_failure tiny_task_failure(tiny_task *task);
void tiny_failure_free(tiny_failure *failure);

/* Hand a failed task's error to the driver, which asks on_except. */
void tiny_generation_report(tiny_generation *generation, tiny_task *task);

#endif
