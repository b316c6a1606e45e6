/* SPDX-License-Identifier: MIT
 * test_mail_batch.c -- lines collected for a mail: bounds, order, subject. */
#include "mail_batch.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tiny_mail_batch batch, other;

static void setup(void) {
  batch = (tiny_mail_batch){0};
  other = (tiny_mail_batch){0};
}

static void teardown(void) {
  free(batch.text);
  free(other.text);
}

static void add(tiny_mail_batch *to, const char *line) {
  tiny_mail_batch_add(to, line, strlen(line));
}

static void check_body(const char *expected) {
  size_t size;
  char *body = tiny_mail_batch_body(&batch, &size);
  ck_assert_uint_eq(size, strlen(expected));
  ck_assert_mem_eq(body, expected, size);
  free(body);
}

START_TEST(a_body_has_a_line_each) {
  add(&batch, "one");
  add(&batch, "two\n    and more of it");
  check_body("one\ntwo\n    and more of it\n");
}
END_TEST

START_TEST(lines_beyond_a_thousand_are_counted) {
  for (int i = 0; i < 1005; i++) add(&batch, "x");
  ck_assert_uint_eq(batch.lines, 1000);
  ck_assert_uint_eq(batch.more, 5);
  size_t size;
  char *body = tiny_mail_batch_body(&batch, &size);
  ck_assert_mem_eq(body + 2000, "(5 more lines are not shown)\n", size - 2000);
  free(body);
}
END_TEST

START_TEST(a_megabyte_is_enough) {
  char *line = malloc(300001);
  memset(line, 'x', 300000);
  line[300000] = 0;
  for (int i = 0; i < 5; i++) add(&batch, line);
  add(&batch, "short");
  free(line);
  ck_assert_uint_eq(batch.lines, 4);
  ck_assert_uint_eq(batch.more, 2);
}
END_TEST

START_TEST(what_could_not_be_sent_goes_first_and_fills_up) {
  tiny_mail_batch_name(&other, "first", 5);
  for (int i = 0; i < 998; i++) add(&other, "old");
  tiny_mail_batch_name(&batch, "later", 5);
  for (int i = 0; i < 5; i++) add(&batch, "new");
  batch.more = 7;
  tiny_mail_batch_join(&other, &batch);
  ck_assert_str_eq(batch.subject, "first");
  ck_assert_uint_eq(batch.lines, 1000);
  ck_assert_uint_eq(batch.more, 10);
  ck_assert_str_eq(batch.text + 998 * 4, "new");
  ck_assert_ptr_null(other.text);
}
END_TEST

START_TEST(a_subject_is_one_printable_line) {
  char message[301];
  tiny_mail_batch_name(&batch, "bell\x07\nInjected: header", 22);
  ck_assert_str_eq(batch.subject, "bell\\x07");
  for (int i = 0; i < 300; i += 2) memcpy(message + i, "ü", 3);
  tiny_mail_batch_name(&batch, message, 300);
  ck_assert_uint_eq(strlen(batch.subject), TINY_MAIL_SUBJECT);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mail_batch");
  TCase *tests = tcase_create("batch");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, a_body_has_a_line_each);
  tcase_add_test(tests, lines_beyond_a_thousand_are_counted);
  tcase_add_test(tests, a_megabyte_is_enough);
  tcase_add_test(tests, what_could_not_be_sent_goes_first_and_fills_up);
  tcase_add_test(tests, a_subject_is_one_printable_line);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
