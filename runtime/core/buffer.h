/* SPDX-License-Identifier: MIT
 * buffer.h -- a buffer that grows at its end and is taken from at its beginning. */
#ifndef TINY_BUFFER_H
#define TINY_BUFFER_H

#include <stddef.h>

/* Zero it before the first use. */
typedef struct tiny_buffer {
  char *data;
  size_t at, size, room; /* [at, size) is what is there */
} tiny_buffer;

static inline size_t tiny_buffer_pending(const tiny_buffer *buffer) {
  return buffer->size - buffer->at;
}

/* Returns 0, or -1 when out of memory: nothing was added then. */
int tiny_buffer_add(tiny_buffer *buffer, const char *data, size_t size);

/* It is empty afterwards, and may be used again. */
void tiny_buffer_free(tiny_buffer *buffer);

#endif
