/* SPDX-License-Identifier: MIT
 * fuzz_election.c -- answers of etcd, and base64, which its keys and values are in: any JSON is read
 * into a view that holds together. */
#include "fuzz.h"

#include "base64.h"
#include "election_text.h"

static void check_base64(const uint8_t *data, size_t size) {
  char *text = malloc(TINY_BASE64_ROOM(size)), *bytes = malloc(size + 4);
  size_t length = tiny_base64_encode(data, size, text), back = 0;
  FUZZ_CHECK(length < TINY_BASE64_ROOM(size) && text[length] == 0);
  FUZZ_CHECK(tiny_base64_decode(text, length, bytes, &back) == 0);
  FUZZ_CHECK(back == size && memcmp(bytes, data, size) == 0);
  free(bytes);
  free(text);
  char *other = fuzz_copy(data, size);
  bytes = malloc(size / 4 * 3 + 1);
  if (tiny_base64_decode(other, size, bytes, &back) == 0) FUZZ_CHECK(back <= size / 4 * 3);
  free(bytes);
  free(other);
}

static void check_view(const json_t *answer, const char *lease) {
  tiny_election_keys keys;
  tiny_election_view view;
  FUZZ_CHECK(tiny_election_keys_make(&keys, "demo") == 0);
  tiny_election_read(&keys, answer, lease, &view);
  FUZZ_CHECK(json_is_array(view.members));
  FUZZ_CHECK(memchr(view.active, 0, sizeof view.active) != NULL);
  size_t i;
  const json_t *member;
  json_array_foreach(view.members, i, member)
      FUZZ_CHECK(json_is_string(json_object_get(member, "role")));
  FUZZ_CHECK(!view.joined || json_array_size(view.members) > 0);
  json_decref(view.members);
  tiny_election_keys_free(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  json_t *answer = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
  check_base64(data, size);
  if (!answer) return 0;
  check_view(answer, "7587");
  check_view(answer, "");
  json_decref(answer);
  return 0;
}
