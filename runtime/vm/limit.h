/* SPDX-License-Identifier: MIT
 * limit.h -- deadlines on a stretch of a task (tiny.timeout). When one passes, the task's waits
 * raise tiny.cancelled until that stretch is left. Loop thread only. */
#ifndef TINY_LIMIT_H
#define TINY_LIMIT_H

#include "task.h"

typedef struct tiny_limit tiny_limit;

/* A wait of the task is about to raise. */
void tiny_limits_tell(tiny_task *task);

/* Forget those of a task that has ended or is abandoned. */
void tiny_limits_drop(tiny_task *task);

/* Handler of TINY_DUE_LIMIT. */
void tiny_limit_on_due(void *data, tiny_due id, uint64_t word, uint64_t now);

int luaopen_tiny_limit(lua_State *L); /* tiny.core.limit */

#endif
