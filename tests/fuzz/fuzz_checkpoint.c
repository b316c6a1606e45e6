/* SPDX-License-Identifier: MIT
 * fuzz_checkpoint.c -- checkpoint files: any bytes are taken apart or refused, and what was saved of
 * any bytes comes back. What is inside of one is fuzz_carry.c's. */
#include "fuzz.h"

#include "checkpoint.h"

static void check_own(const char *bytes, size_t size) {
  tiny_checkpoint saved = {
      .token = size, .sequence = 7, .saved_at = -1, .bytes = bytes, .size = size};
  tiny_checkpoint read;
  char why[64], *blob = malloc(TINY_CHECKPOINT_HEAD + size);
  FUZZ_CHECK(blob != NULL);
  tiny_checkpoint_head(&saved, blob);
  memcpy(blob + TINY_CHECKPOINT_HEAD, bytes, size);
  FUZZ_CHECK(tiny_checkpoint_parse(blob, TINY_CHECKPOINT_HEAD + size, &read, why, sizeof why) == 0);
  FUZZ_CHECK(read.token == size && read.sequence == 7 && read.saved_at == -1);
  FUZZ_CHECK(read.size == size && memcmp(read.bytes, bytes, size) == 0);
  if (size > 0) blob[TINY_CHECKPOINT_HEAD + size / 2] ^= 1; /* damage is seen */
  FUZZ_CHECK(size == 0 ||
             tiny_checkpoint_parse(blob, TINY_CHECKPOINT_HEAD + size, &read, why, sizeof why) != 0);
  free(blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = fuzz_copy(data, size), why[64] = "";
  tiny_checkpoint read;
  if (tiny_checkpoint_parse(bytes, size, &read, why, sizeof why) != 0)
    FUZZ_CHECK(*why);
  else
    FUZZ_CHECK(read.bytes + read.size == bytes + size);
  check_own(bytes, size);
  free(bytes);
  return 0;
}
