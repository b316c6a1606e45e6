/* SPDX-License-Identifier: MIT
 * mail_batch.h -- lines collected for one mail, bounded in number and size. One thread. */
#ifndef TINY_MAIL_BATCH_H
#define TINY_MAIL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#define TINY_MAIL_SUBJECT 120 /* bytes of a subject, without what goes before it */

typedef struct tiny_mail_batch {
  char *text; /* the lines, each with its newline */
  size_t size, room;
  unsigned lines;
  uint64_t more; /* lines that were not kept */
  char subject[TINY_MAIL_SUBJECT + 1];
} tiny_mail_batch;

/* Add 'lines' lines, or count them when there is no room. */
void tiny_mail_batch_add(tiny_mail_batch *batch, const char *text, size_t size, unsigned lines);

/* Take the first line of a message for the subject, printable whatever it holds. */
void tiny_mail_batch_name(tiny_mail_batch *batch, const char *message, size_t size);

/* Put 'first' before what 'batch' has, whose subject is then that of 'first'; 'first' is empty after. */
void tiny_mail_batch_join(tiny_mail_batch *first, tiny_mail_batch *batch);

/* Say behind the lines how many were not kept, when there are any. */
void tiny_mail_batch_close(tiny_mail_batch *batch);

#endif
