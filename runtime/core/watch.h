/* SPDX-License-Identifier: MIT
 * watch.h -- tells when one of a set of files has changed on disk. Loop thread only. */
#ifndef TINY_WATCH_H
#define TINY_WATCH_H

#include <stddef.h>
#include <uv.h>

typedef struct tiny_watch tiny_watch;

/* 'changed' is called once for a burst of changes, when 200 ms have passed without another.
 * Returns NULL when out of memory. */
tiny_watch *tiny_watch_open(uv_loop_t *loop, void (*changed)(void *data), void *data);

/* Watch these files from now on, and no others. Their folders are watched, as editors put a new
 * file in the old one's place. Returns how many could not be watched. */
unsigned tiny_watch_files(tiny_watch *watch, const char *const *paths, size_t count);

/* Frees in the handles' close callbacks. NULL is allowed. */
void tiny_watch_close(tiny_watch *watch);

#endif
