/* SPDX-License-Identifier: MIT
 * roll.h -- the runtimes of this process: so that one which was freed can be told from one that
 * lives, and so that what is asked of it from another thread cannot meet its end. */
#ifndef TINY_ROLL_H
#define TINY_ROLL_H

#include "tiny.h"

/* Any thread; a runtime is on the roll from its making until it is freed. */
void tiny_roll_add(tiny *runtime);
void tiny_roll_remove(tiny *runtime);

/* Lock the roll. Returns 0, and then tiny_roll_leave() unlocks it; or -EINVAL for NULL, -EBADF for one that
 * is not on it. While it is locked no runtime is freed, and 'host' of a runtime may be looked at. */
int tiny_roll_enter(const tiny *runtime);
void tiny_roll_leave(void);

#endif
