/* SPDX-License-Identifier: MIT
 * test_log_repeat.c -- identical lines are held back and told, all others pass. */
#include "log_repeat.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000u

static tiny_repeat *repeat;
static uint64_t now;
static char text[400];

static void setup(void) {
  repeat = tiny_repeat_new();
  now = 1700000000u * (uint64_t)SECOND;
}

static void teardown(void) { tiny_repeat_free(repeat); }

static bool pass_as(const char *message, tiny_level level, const char *fields) {
  tiny_line line = {.level = level,
                    .time_ns = now,
                    .number = 7,
                    .text = {message, strlen(message)},
                    .file = {"a.lua", 5},
                    .fields = {fields, strlen(fields)}};
  return tiny_repeat_pass(repeat, 10, &line);
}

static bool pass(const char *message) { return pass_as(message, TINY_INFO, ""); }

/* How many of 'count' lines pass. */
static int burst(const char *message, int count) {
  int passed = 0;
  for (int i = 0; i < count; i++) passed += pass(message);
  return passed;
}

/* What is told now, NULL when nothing is. */
static const char *told(void) {
  tiny_line line;
  if (!tiny_repeat_tell(repeat, now, &line)) return NULL;
  snprintf(text, sizeof text, "%s %.*s:%u %.*s", tiny_level_name(line.level), (int)line.file.size,
           line.file.text, line.number, (int)line.text.size, line.text.text);
  return text;
}

START_TEST(ten_of_a_kind_pass_in_a_second_and_the_rest_is_told_once) {
  ck_assert_int_eq(burst("flood", 500), 10);
  ck_assert_ptr_null(told());
  ck_assert_uint_eq(tiny_repeat_due(repeat), now + SECOND);
  now += SECOND;
  ck_assert_str_eq(told(), "INFO a.lua:7 held back 490 times within a second: flood");
  ck_assert_ptr_null(told());
  ck_assert_uint_eq(tiny_repeat_due(repeat), UINT64_MAX);
  ck_assert_int_eq(burst("flood", 500), 10);
  now += SECOND;
  ck_assert_ptr_nonnull(told());
}
END_TEST

START_TEST(lines_that_are_not_too_many_leave_no_trace) {
  for (int second = 0; second < 5; second++, now += SECOND) {
    ck_assert_int_eq(burst("calm", 10), 10);
    ck_assert_ptr_null(told());
  }
}
END_TEST

START_TEST(level_text_and_fields_tell_lines_apart) {
  ck_assert_int_eq(burst("a", 20), 10);
  ck_assert_int_eq(burst("b", 20), 10);
  ck_assert(pass_as("a", TINY_WARN, ""));
  ck_assert(pass_as("a", TINY_INFO, "{\"n\":1}"));
  ck_assert_int_eq(burst("a longer text than eight bytes, 1", 20), 10);
  ck_assert_int_eq(burst("a longer text than eight bytes, 2", 20), 10);
}
END_TEST

START_TEST(a_flood_of_different_lines_passes_whole) {
  char message[32];
  for (int i = 0; i < 20000; i++) {
    snprintf(message, sizeof message, "line %d", i);
    ck_assert(pass(message));
  }
}
END_TEST

START_TEST(what_is_held_back_is_not_forgotten_under_other_floods) {
  char message[32];
  ck_assert_int_eq(burst("first", 100), 10);
  for (int i = 0; i < 20000; i++) {
    snprintf(message, sizeof message, "line %d", i);
    pass(message);
  }
  now += SECOND;
  ck_assert_str_eq(told(), "INFO a.lua:7 held back 90 times within a second: first");
}
END_TEST

START_TEST(a_flood_is_found_among_many_other_lines) {
  char message[32];
  int passed = 0;
  for (int i = 0; i < 20000; i++) {
    snprintf(message, sizeof message, "line %d", i);
    pass(message);
    passed += pass("flood");
  }
  ck_assert_int_lt(passed, 100);
}
END_TEST

START_TEST(lines_are_held_until_that_was_told) {
  burst("flood", 100);
  now += 3 * (uint64_t)SECOND / 2;
  ck_assert_int_eq(burst("flood", 5), 0);
  ck_assert_str_eq(told(), "INFO a.lua:7 held back 95 times within a second: flood");
}
END_TEST

START_TEST(a_clock_that_is_set_back_holds_nothing_up) {
  burst("flood", 100);
  now -= 3600 * (uint64_t)SECOND;
  ck_assert_str_eq(told(), "INFO a.lua:7 held back 90 times within a second: flood");
  ck_assert_int_eq(burst("flood", 100), 10);
}
END_TEST

START_TEST(at_the_end_everything_is_told) {
  tiny_line line;
  burst("a", 11);
  burst("b", 11);
  ck_assert(tiny_repeat_tell(repeat, UINT64_MAX, &line));
  ck_assert(tiny_repeat_tell(repeat, UINT64_MAX, &line));
  ck_assert(!tiny_repeat_tell(repeat, UINT64_MAX, &line));
}
END_TEST

START_TEST(a_long_line_is_told_in_short) {
  char message[1000];
  memset(message, 'x', sizeof message);
  memcpy(message + 158, "ü", 2); /* would be cut in the middle */
  message[999] = 0;
  burst(message, 11);
  now += SECOND;
  ck_assert_ptr_nonnull(strstr(told(), "xxü..."));
  burst(message, 11);
  message[160] = 'x';
  memcpy(message + 159, "ü", 2);
  burst(message, 11);
  now += SECOND;
  ck_assert_ptr_nonnull(told());
  ck_assert_ptr_nonnull(told());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("log_repeat");
  TCase *tests = tcase_create("repeat");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, ten_of_a_kind_pass_in_a_second_and_the_rest_is_told_once);
  tcase_add_test(tests, lines_that_are_not_too_many_leave_no_trace);
  tcase_add_test(tests, level_text_and_fields_tell_lines_apart);
  tcase_add_test(tests, a_flood_of_different_lines_passes_whole);
  tcase_add_test(tests, what_is_held_back_is_not_forgotten_under_other_floods);
  tcase_add_test(tests, a_flood_is_found_among_many_other_lines);
  tcase_add_test(tests, lines_are_held_until_that_was_told);
  tcase_add_test(tests, a_clock_that_is_set_back_holds_nothing_up);
  tcase_add_test(tests, at_the_end_everything_is_told);
  tcase_add_test(tests, a_long_line_is_told_in_short);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
