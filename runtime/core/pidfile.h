/* SPDX-License-Identifier: MIT
 * pidfile.h -- one server of a name: a pid file locked with flock for as long as
 * the process lives, and the note beside conf.lua by which commands find it. */
#ifndef TINY_PIDFILE_H
#define TINY_PIDFILE_H

#include "conf.h"
#include <stddef.h>
#include <sys/types.h>

typedef struct tiny_pidfile tiny_pidfile;

/* Lock <svr.run_dir>/<svr.name>.pid and write our pid into it; a stale one is taken over.
 * Returns NULL with the reason in 'why', which names the pid of a living owner. Loop thread. */
tiny_pidfile *tiny_pidfile_lock(const tiny_conf *conf, char *why, size_t why_size);

/* Leave <conf.lua>.run (where that folder cannot be written, one under /run/tiny), which says
 * where the control socket is. Returns 0, or -1 with the reason in 'why'. */
int tiny_pidfile_note(tiny_pidfile *pidfile, const tiny_conf *conf, char *why, size_t why_size);

/* <svr.run_dir>/<svr.name><extension>, absolute. The caller frees it; NULL when out of memory. */
char *tiny_pidfile_path(const tiny_conf *conf, const char *extension);

/* Make the note another user's, who is to remove it in the end. Nothing happens where that cannot be. */
void tiny_pidfile_give(tiny_pidfile *pidfile, uid_t uid, gid_t gid);

/* Remove both files and unlock. NULL is allowed. */
void tiny_pidfile_unlock(tiny_pidfile *pidfile);

#endif
