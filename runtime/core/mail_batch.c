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

void tiny_mail_batch_add(tiny_mail_batch *b, const char *line, size_t size) {
  if (b->lines == LINES_MOST || b->size + size >= BYTES_MOST || !grow(b, size + 1)) {
    b->more++;
    return;
  }
  memcpy(b->text + b->size, line, size);
  b->text[b->size + size] = 0;
  b->size += size + 1;
  b->lines++;
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
  for (size_t at = 0, size; at < later.size; at += size + 1) {
    size = strlen(later.text + at);
    tiny_mail_batch_add(b, later.text + at, size);
  }
  b->more += later.more;
  free(later.text);
}

char *tiny_mail_batch_body(const tiny_mail_batch *b, size_t *size) {
  char *body = malloc(b->size + 64);
  if (!body) return NULL;
  for (size_t i = 0; i < b->size; i++) body[i] = (char)(b->text[i] ? b->text[i] : '\n');
  *size = b->size;
  if (b->more) {
    *size += (size_t)snprintf(body + b->size, 64, "(%llu more lines are not shown)\n",
                              (unsigned long long)b->more);
  }
  return body;
}
