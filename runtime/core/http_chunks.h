/* SPDX-License-Identifier: MIT
 * http_chunks.h -- the chunked coding of a body, taken apart strictly. */
#ifndef TINY_HTTP_CHUNKS_H
#define TINY_HTTP_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

/* Zero it before the first chunk. */
typedef struct tiny_chunks {
  int state;
  unsigned digits, extra; /* of the size; bytes of extensions and trailers so far */
  uint64_t left;          /* of the present chunk */
} tiny_chunks;

typedef enum tiny_chunks_step {
  TINY_CHUNKS_MORE, /* all was taken in; more has to come */
  TINY_CHUNKS_DATA, /* a piece of the body: [*data, *data + *data_size) */
  TINY_CHUNKS_END,  /* the body is over */
  TINY_CHUNKS_BAD   /* and whatever follows is, too */
} tiny_chunks_step;

/* Take bytes in until there is something to tell; 'used' says how many. */
tiny_chunks_step tiny_chunks_take(tiny_chunks *chunks, const char *in, size_t size, size_t *used,
                                  const char **data, size_t *data_size);

#endif
