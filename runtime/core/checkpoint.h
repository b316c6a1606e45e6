/* SPDX-License-Identifier: MIT
 * checkpoint.h -- a saved context as bytes, and the two files that hold the last two of them:
 * <path>, and <path>.1 with the one before. A new one is complete on disk, as <path>.tmp, before
 * it takes the name of the last: being killed at any point costs neither.
 * Any thread; one at a time for each path. */
#ifndef TINY_CHECKPOINT_H
#define TINY_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of two the one with the higher token is newer, then the one with the higher sequence. */
typedef struct tiny_checkpoint {
  uint64_t token;    /* of the active that saved it, 0 without a cluster */
  uint64_t sequence; /* one more than the one before */
  int64_t saved_at;  /* seconds since 1970 */
  const char *bytes; /* what was saved; borrowed */
  size_t size;
} tiny_checkpoint;

bool tiny_checkpoint_newer(const tiny_checkpoint *a, const tiny_checkpoint *b);

enum { TINY_CHECKPOINT_HEAD = 48 }; /* bytes in front of what was saved */

/* Write what goes in front of it: magic, version, a checksum of all, and the numbers above. */
void tiny_checkpoint_head(const tiny_checkpoint *checkpoint, char head[TINY_CHECKPOINT_HEAD]);

/* Head and bytes as text in base64, for free(); NULL when out of memory. */
char *tiny_checkpoint_text(const tiny_checkpoint *checkpoint);

/* Take head and bytes apart; the result points into 'blob'. Returns 0, or -1 with what is
 * wrong with them in 'why', such as "its checksum is wrong". */
int tiny_checkpoint_parse(const char *blob, size_t size, tiny_checkpoint *checkpoint, char *why,
                          size_t why_size);

/* Save it at 'path', durably: what was there becomes <path>.1, or with 'alone' both of
 * before go. Returns 0, or a negative errno with the reason in 'why'; what was there is
 * there still then. Blocks for as long as the disk does. */
int tiny_checkpoint_write(const char *path, const tiny_checkpoint *checkpoint, bool alone,
                          char *why, size_t why_size);

/* Read the file at 'path' itself. Returns 0, and what 'checkpoint' points into in 'blob', for
 * free(); -ENOENT when there is none; otherwise a negative errno with the reason in 'why',
 * -EBADMSG when the file is damaged. */
int tiny_checkpoint_read(const char *path, char **blob, tiny_checkpoint *checkpoint, char *why,
                         size_t why_size);

/* The path of the one before, and of one that was put aside; for free(). NULL when out of memory. */
char *tiny_checkpoint_previous(const char *path);

/* Rename the file at 'path' to <path>.damaged, so that it does not become the one before. */
void tiny_checkpoint_put_aside(const char *path);

/* Remove what a killed process has left half-written. */
void tiny_checkpoint_tidy(const char *path);

#endif
