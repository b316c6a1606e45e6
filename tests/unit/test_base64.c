/* SPDX-License-Identifier: MIT
 * test_base64.c -- the test vectors of RFC 4648, and what is no base64. */
#include "base64.h"
#include "suite.h"

#include <check.h>
#include <string.h>

static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

START_TEST(known_texts_come_out) {
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    char text[TINY_BASE64_ROOM(8)];
    size_t size = strlen(vectors[i][0]);
    ck_assert_uint_eq(tiny_base64_encode(vectors[i][0], size, text), strlen(vectors[i][1]));
    ck_assert_str_eq(text, vectors[i][1]);
  }
}
END_TEST

START_TEST(and_go_back_in) {
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    char bytes[16];
    size_t size;
    ck_assert_int_eq(tiny_base64_decode(vectors[i][1], strlen(vectors[i][1]), bytes, &size), 0);
    ck_assert_uint_eq(size, strlen(vectors[i][0]));
    ck_assert_mem_eq(bytes, vectors[i][0], size);
  }
}
END_TEST

START_TEST(what_is_no_base64_is_refused) {
  static const char *const bad[] = {
      "Z",    "Zg",   "Zg=",      "Z===",  "====",  "Zm9v\n",          "Zm9-",
      "Zm 9", "=m9v", "Zg==Zg==", "Zm9vY", "Zm9v=", "\xff\xff\xff\xff"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char bytes[16];
    size_t size;
    ck_assert_msg(tiny_base64_decode(bad[i], strlen(bad[i]), bytes, &size) == -1, "%s", bad[i]);
  }
}
END_TEST

START_TEST(all_bytes_survive_and_may_be_decoded_in_place) {
  unsigned char bytes[256];
  char text[TINY_BASE64_ROOM(256)];
  size_t size;
  for (int i = 0; i < 256; i++) bytes[i] = (unsigned char)i;
  size_t length = tiny_base64_encode(bytes, sizeof bytes, text);
  ck_assert_int_eq(tiny_base64_decode(text, length, text, &size), 0);
  ck_assert_uint_eq(size, sizeof bytes);
  ck_assert_mem_eq(text, bytes, size);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("base64");
  TCase *texts = tcase_create("texts");
  tcase_add_test(texts, known_texts_come_out);
  tcase_add_test(texts, and_go_back_in);
  tcase_add_test(texts, what_is_no_base64_is_refused);
  tcase_add_test(texts, all_bytes_survive_and_may_be_decoded_in_place);
  suite_add_tcase(suite, texts);
  return suite_run(suite);
}
