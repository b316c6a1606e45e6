/* SPDX-License-Identifier: MIT
 * buffer.c -- what was taken makes room before more memory is asked for. */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

int tiny_buffer_add(tiny_buffer *b, const char *data, size_t size) {
  if (b->at > 0) {
    memmove(b->data, b->data + b->at, tiny_buffer_pending(b));
    b->size -= b->at;
    b->at = 0;
  }
  if (b->room - b->size < size) {
    size_t room = b->room * 2 > b->size + size ? b->room * 2 : b->size + size;
    char *grown = realloc(b->data, room);
    if (!grown) return -1;
    b->data = grown;
    b->room = room;
  }
  memcpy(b->data + b->size, data, size);
  b->size += size;
  return 0;
}

void tiny_buffer_free(tiny_buffer *b) {
  free(b->data);
  *b = (tiny_buffer){0};
}
