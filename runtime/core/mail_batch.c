/* SPDX-License-Identifier: MIT
 * mail_batch.c -- lines collected for one mail. */
#include "mail_batch.h"
#include "log_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MOST 1000u
#define BYTES_MOST (1u << 20)

static bool grow(tiny_mail_batch *b, size_t size) {
  if (b->size + size <= b->room) return true;
  size_t room = b->room ? b->room : 4096;
  while (room < b->size + size) room *= 2;
  char *text = realloc(b->text, room);
  if (!text) return false;
  b->text = text;
  b->room = room;
  return true;
}

static void append(tiny_mail_batch *b, const char *text, size_t size) {
  memcpy(b->text + b->size, text, size);
  b->size += size;
}

void tiny_mail_batch_add(tiny_mail_batch *b, const char *text, size_t size, unsigned lines) {
  if (b->lines + lines > LINES_MOST || b->size + size > BYTES_MOST || !grow(b, size)) {
    b->more += lines;
    return;
  }
  append(b, text, size);
  b->lines += lines;
}

void tiny_mail_batch_name(tiny_mail_batch *b, const char *message, size_t size) {
  const char *newline = memchr(message, '\n', size);
  if (newline) size = (size_t)(newline - message);
  *tiny_text_message(b->subject, b->subject + TINY_MAIL_SUBJECT, message, size) = 0;
}

void tiny_mail_batch_join(tiny_mail_batch *first, tiny_mail_batch *b) {
  tiny_mail_batch later = *b;
  *b = *first;
  *first = (tiny_mail_batch){0};
  b->more += later.more;
  if (later.lines) tiny_mail_batch_add(b, later.text, later.size, later.lines);
  free(later.text);
}

void tiny_mail_batch_close(tiny_mail_batch *b) {
  char text[64];
  if (!b->more) return;
  int n =
      snprintf(text, sizeof text, "(%llu more lines are not shown)\n", (unsigned long long)b->more);
  if (grow(b, (size_t)n)) append(b, text, (size_t)n);
}
