/* SPDX-License-Identifier: MIT
 * mail_batch.h -- lines collected for one mail, bounded in number and size. One thread. */
#ifndef TINY_MAIL_BATCH_H
#define TINY_MAIL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#define TINY_MAIL_SUBJECT 120 /* bytes of a subject, without what goes before it */

typedef struct tiny_mail_batch {
  char *text; /* the lines, each ended by a NUL: none holds one */
  size_t size, room;
  unsigned lines;
  uint64_t more; /* lines that were not kept */
  char subject[TINY_MAIL_SUBJECT + 1];
} tiny_mail_batch;

/* Add a line, or count it when there is no room. */
void tiny_mail_batch_add(tiny_mail_batch *batch, const char *line, size_t size);

/* Take the first line of a message for the subject, printable whatever it holds. */
void tiny_mail_batch_name(tiny_mail_batch *batch, const char *message, size_t size);

/* Put the lines of 'first' before those of 'batch', and its subject in place. 'first' is empty then. */
void tiny_mail_batch_join(tiny_mail_batch *first, tiny_mail_batch *batch);

/* A mail's body: the lines, and how many were not kept. The caller frees it; '*size' is its
 * length. NULL when out of memory. */
char *tiny_mail_batch_body(const tiny_mail_batch *batch, size_t *size);

#endif
