/* SPDX-License-Identifier: MIT
 * fuzz.h -- what every target is: a function that takes any bytes, and ends the process when the
 * code under it has done wrong. libFuzzer calls it, and replay.c does with the corpus. */
#ifndef TINY_FUZZ_H
#define TINY_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert(), whatever the build. */
#define FUZZ_CHECK(condition)                                                                      \
  do {                                                                                             \
    if (!(condition)) fuzz_fail(__FILE__, __LINE__, #condition);                                   \
  } while (0)

static inline void fuzz_fail(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
  abort();
}

/* A copy that is exactly as large, so that a sanitizer sees each byte read beyond it; for free(). */
static inline char *fuzz_copy(const void *data, size_t size) {
  char *copy = malloc(size ? size : 1);
  FUZZ_CHECK(copy != NULL);
  memcpy(copy, data, size);
  return copy;
}

/* The same as text: with a NUL at its end, and cut where there is one before. */
static inline char *fuzz_text(const void *data, size_t size) {
  size_t length = strnlen(data, size);
  char *text = malloc(length + 1);
  FUZZ_CHECK(text != NULL);
  memcpy(text, data, length);
  text[length] = 0;
  return text;
}

/* Where to cut the bytes that follow: the first few bytes of an input say so, in turn. */
typedef struct fuzz_cuts {
  uint8_t lengths[4];
  unsigned next;
} fuzz_cuts;

static inline fuzz_cuts fuzz_cuts_take(const uint8_t **data, size_t *size) {
  fuzz_cuts cuts = {{0}, 0};
  size_t taken = *size < sizeof cuts.lengths ? *size : sizeof cuts.lengths;
  memcpy(cuts.lengths, *data, taken);
  *data += taken;
  *size -= taken;
  return cuts;
}

/* The length of the next piece of 'left' bytes, 1 at least. */
static inline size_t fuzz_cut(fuzz_cuts *cuts, size_t left) {
  size_t length = (size_t)cuts->lengths[cuts->next++ % sizeof cuts->lengths] + 1;
  return length < left ? length : left;
}

/* FNV-1a over several pieces; begin with FUZZ_HASH. */
#define FUZZ_HASH 0xcbf29ce484222325u
static inline uint64_t fuzz_hash(uint64_t hash, const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

#endif
