/* SPDX-License-Identifier: MIT
 * http_chunks.c -- one byte at a time between the pieces, each piece at once. */
#include "http_chunks.h"

enum { EXTRA = 4096, DIGITS = 15 }; /* no size is larger than that many hexadecimal digits */

enum state {
  SIZE,
  EXTENSION,
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  TRAILER,
  TRAILER_LINE,
  TRAILER_LF,
  END_LF
};

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int take_size(tiny_chunks *c, char in) {
  int digit = digit_of(in);
  if (digit >= 0) {
    c->left = c->left * 16 + (uint64_t)digit;
    return ++c->digits <= DIGITS ? SIZE : -1;
  }
  if (c->digits == 0) return -1;
  if (in == '\r') return SIZE_LF;
  return in == ';' ? EXTENSION : -1;
}

/* Extensions and trailers are passed over; control characters are in neither. */
static int pass_over(tiny_chunks *c, char in, int here, int next) {
  if (in == '\r') return next;
  if (++c->extra > EXTRA || ((unsigned char)in < ' ' && in != '\t') || in == 127) return -1;
  return here;
}

/* Returns the next state, -1 when the byte cannot stand here. END_LF's own end is told by the caller. */
static int step(tiny_chunks *c, char in) {
  switch (c->state) {
  case SIZE: return take_size(c, in);
  case EXTENSION: return pass_over(c, in, EXTENSION, SIZE_LF);
  case SIZE_LF: return in != '\n' ? -1 : c->left > 0 ? DATA : TRAILER;
  case DATA_CR: return in == '\r' ? DATA_LF : -1;
  case DATA_LF: c->digits = 0; return in == '\n' ? SIZE : -1;
  case TRAILER: return pass_over(c, in, TRAILER_LINE, END_LF);
  case TRAILER_LINE: return pass_over(c, in, TRAILER_LINE, TRAILER_LF);
  case TRAILER_LF: return in == '\n' ? TRAILER : -1;
  default: return in == '\n' ? END_LF : -1;
  }
}

static tiny_chunks_step take_data(tiny_chunks *c, const char *in, size_t size, size_t *used,
                                  const char **data, size_t *data_size) {
  *data = in;
  *data_size = size < c->left ? size : (size_t)c->left;
  *used += *data_size;
  c->left -= *data_size;
  if (c->left == 0) c->state = DATA_CR;
  return TINY_CHUNKS_DATA;
}

tiny_chunks_step tiny_chunks_take(tiny_chunks *c, const char *in, size_t size, size_t *used,
                                  const char **data, size_t *data_size) {
  *used = 0;
  if (c->state < 0) return TINY_CHUNKS_BAD;
  while (*used < size) {
    if (c->state == DATA) return take_data(c, in + *used, size - *used, used, data, data_size);
    int was = c->state;
    c->state = step(c, in[(*used)++]);
    if (c->state < 0) return TINY_CHUNKS_BAD;
    if (was == END_LF) return TINY_CHUNKS_END;
  }
  return TINY_CHUNKS_MORE;
}
