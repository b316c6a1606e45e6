/* SPDX-License-Identifier: MIT
 * test_address.c -- what is an address and what is not, and how it is written. */
#include "address.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tiny_address address;
static char why[320];

static int parse(const char *text) { return tiny_address_parse(text, &address, why, sizeof why); }

static void assert_round_trip(const char *text) {
  tiny_endpoint endpoint;
  char written[TINY_ENDPOINT_TEXT];
  ck_assert_msg(parse(text) == 0, "%s: %s", text, why);
  ck_assert_msg(tiny_address_literal(&address, &endpoint), "%s", text);
  tiny_endpoint_text(&endpoint, written);
  ck_assert_str_eq(written, text);
}

START_TEST(literals_are_written_as_they_are_read) {
  static const char *const texts[] = {
      "127.0.0.1:8080", "0.0.0.0:0",     "[::1]:65535",    "[fe80::1%lo]:1",
      "unix:/tmp/a.b",  "unix:relative", "unix:@abstract", NULL};
  for (int i = 0; texts[i]; i++) assert_round_trip(texts[i]);
}
END_TEST

START_TEST(a_name_has_to_be_looked_up) {
  static const char *const texts[] = {"localhost:80", "a.b-c.example.:80", "x_1:80", "1a.2b:80",
                                      NULL};
  tiny_endpoint endpoint;
  for (int i = 0; texts[i]; i++) {
    ck_assert_msg(parse(texts[i]) == 0, "%s: %s", texts[i], why);
    ck_assert_msg(!tiny_address_literal(&address, &endpoint), "%s", texts[i]);
    ck_assert_int_eq(address.port, 80);
  }
}
END_TEST

START_TEST(a_passed_descriptor_has_a_name) {
  ck_assert_int_eq(parse("fd:web"), 0);
  ck_assert_int_eq(address.kind, TINY_ADDRESS_FD);
  ck_assert_str_eq(address.host, "web");
}
END_TEST

START_TEST(what_is_no_address_is_refused_by_name) {
  static const char *const texts[] = {
      "",         ":80",          "80",           "host",           "host:",
      "host:x",   "host:65536",   "host:-1",      "host: 1",        "host:1 ",
      "1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "::1:80",         "[::1]80",
      "[::1]",    "[::1:80",      "[1.2.3.4]:1",  "[]:80",          "[::1%nope]:1",
      "a..b:80",  ".a:80",        "a b:80",       "h\xc3\xb6st:80", "unix:",
      "unix:@",   "fd:",          "fd:a:b",       "host:000080",    "http://a:80",
      NULL};
  for (int i = 0; texts[i]; i++) {
    ck_assert_msg(parse(texts[i]) == -1, "%s was taken", texts[i]);
    ck_assert_msg(strstr(why, texts[i]) != NULL, "%s", why);
  }
}
END_TEST

START_TEST(what_is_too_long_is_refused) {
  char text[600];
  snprintf(text, sizeof text, "unix:/%0107d", 0);
  ck_assert_int_eq(parse(text), -1);
  snprintf(text, sizeof text, "%0300da:80", 0);
  ck_assert_int_eq(parse(text), -1);
  snprintf(text, sizeof text, "%060da.%063da:80", 0, 0);
  ck_assert_int_eq(parse(text), -1);
  snprintf(text, sizeof text, "unix:/%0106d", 0);
  assert_round_trip(text);
}
END_TEST

/* Whatever comes in, nothing is read or written beyond its end, and what is taken is written
 * as it can be read again. */
START_TEST(any_bytes_may_come_in) {
  static const char alphabet[] = "0123456789abcdef:.[]%@-_ unixfd/\xff\x01";
  unsigned seed = 1;
  for (int round = 0; round < 200000; round++) {
    char text[24];
    size_t size = (size_t)rand_r(&seed) % sizeof text;
    for (size_t i = 0; i < size; i++)
      text[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
    text[size] = 0;
    tiny_endpoint endpoint, again;
    if (parse(text) != 0 || !tiny_address_literal(&address, &endpoint)) continue;
    char written[TINY_ENDPOINT_TEXT];
    tiny_endpoint_text(&endpoint, written);
    ck_assert_msg(parse(written) == 0 && tiny_address_literal(&address, &again), "%s", written);
    ck_assert_msg(tiny_endpoint_same(&endpoint, &again), "%s", written);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("address");
  TCase *tcase = tcase_create("address");
  tcase_add_test(tcase, literals_are_written_as_they_are_read);
  tcase_add_test(tcase, a_name_has_to_be_looked_up);
  tcase_add_test(tcase, a_passed_descriptor_has_a_name);
  tcase_add_test(tcase, what_is_no_address_is_refused_by_name);
  tcase_add_test(tcase, what_is_too_long_is_refused);
  tcase_add_test(tcase, any_bytes_may_come_in);
  tcase_set_timeout(tcase, 60);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
