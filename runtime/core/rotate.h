/* SPDX-License-Identifier: MIT
 * rotate.h -- setting a log file aside under another name, and dropping the oldest.
 * Both return 0 or an errno; a file that is not there is no error. May block on the disk. */
#ifndef TINY_ROTATE_H
#define TINY_ROTATE_H

#include <stdint.h>

/* To path.2024-05-31, path.2024-05-31_23 or path.2024-05-31_23-59 as 'minutes' is a day, an
 * hour or one minute; 'minute' is the period's first, counted in local time. An older file of
 * that name is kept beside it. The 'keep' newest stay. */
int tiny_rotate_by_time(const char *path, int64_t minute, int64_t minutes, int keep);

/* To path.1, what is there to path.2 and so on up to path.'keep', which is replaced. */
int tiny_rotate_by_size(const char *path, int keep);

#endif
