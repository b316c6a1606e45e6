/* SPDX-License-Identifier: MIT
 * note.h -- the small file by which commands find the server of a conf.lua without
 * evaluating it: conf.lua.run beside it or, where that folder cannot be written, one
 * under /run/tiny. */
#ifndef TINY_NOTE_H
#define TINY_NOTE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct tiny_note {
  pid_t pid;
  char name[66];         /* 64 at most; both have room for a line's end */
  char socket[PATH_MAX]; /* absolute path of the control socket */
} tiny_note;

/* Where a note may be: the first place that can be written has it. */
enum { TINY_NOTE_PLACES = 2 };

/* Write the note of the conf.lua at 'conf'. Returns its path, which the caller
 * frees, or NULL with the reason in 'why'. */
char *tiny_note_write(const char *conf, const tiny_note *note, char *why, size_t why_size);

/* Read the one at 'place' (0 to TINY_NOTE_PLACES - 1). conf.lua itself need not be there.
 * Returns 0, or -1 when there is none of that conf.lua or it is damaged. */
int tiny_note_read(const char *conf, int place, tiny_note *note);

#endif
