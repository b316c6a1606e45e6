/* SPDX-License-Identifier: MIT
 * test_log_format.c -- Python's fields with widths, JSON lines, and what is escaped. */
#include "log_format.h"
#include "log_text.h"
#include "suite.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char written[4096], why[200];
static tiny_clock local;
static tiny_line line;

/* Friday 2024-05-31 21:59:58.007654 UTC */
static void setup(void) {
  setenv("TZ", "Europe/Zurich", 1);
  tzset();
  local = (tiny_clock){0};
  line = (tiny_line){.level = TINY_INFO,
                     .time_ns = 1717192798007654321u,
                     .number = 42,
                     .text = {"hello", 5},
                     .file = {"a.lua", 5},
                     .func = {"go", 2},
                     .thread = {"main", 4}};
}

static const char *by(const char *spec) {
  tiny_format *format = tiny_format_new(spec, "srv", 77, why, sizeof why);
  ck_assert_msg(format != NULL, "%s: %s", spec, why);
  size_t most = tiny_format_most(format, &line);
  ck_assert_uint_lt(most, sizeof written);
  char *end = tiny_format_write(format, &local, &line, written, written + most);
  *end = 0;
  tiny_format_free(format);
  return written;
}

static const char *message(const char *text, size_t size) {
  line.text = (tiny_span){text, size};
  return by("%(message)s");
}
#define MESSAGE(text) message(text, sizeof(text) - 1)

static const char *refused(const char *spec) {
  ck_assert_ptr_null(tiny_format_new(spec, "srv", 77, why, sizeof why));
  return why;
}

START_TEST(the_default_format_is_written_as_promised) {
  ck_assert_str_eq(by(TINY_FORMAT_DEFAULT), "<INFO: srv(77)> [a.lua: 42] >> hello ");
}
END_TEST

START_TEST(every_field_has_its_value) {
  ck_assert_str_eq(by("%(asctime)s|%(levelname)s|%(name)s|%(process)d|%(filename)s|%(lineno)d|"
                      "%(funcName)s|%(threadName)s|%(message)s|%%"),
                   "2024-05-31 23:59:58,007|INFO|srv|77|a.lua|42|go|main|hello|%");
}
END_TEST

START_TEST(widths_and_precisions_work_as_in_python) {
  ck_assert_str_eq(by("[%(levelname)-6s]"), "[INFO  ]");
  ck_assert_str_eq(by("[%(levelname)6s]"), "[  INFO]");
  ck_assert_str_eq(by("[%(lineno)05d]"), "[00042]");
  ck_assert_str_eq(by("[%(message).3s]"), "[hel]");
  ck_assert_str_eq(by("[%(message)-4.2s]"), "[he  ]");
  ck_assert_str_eq(by("[%(process)4d%(name)-5s]"), "[  77srv  ]");
  ck_assert_str_eq(by("%(message)s%(message)7s"), "hello  hello");
}
END_TEST

START_TEST(a_bad_format_is_refused_with_its_culprit) {
  ck_assert_str_eq(refused("a %(nmae)s"), "unknown field \"%(nmae)\"");
  ck_assert_ptr_nonnull(strstr(refused("100% sure"), "% sure"));
  ck_assert_ptr_nonnull(strstr(refused("%(message"), "%(message"));
  ck_assert_ptr_nonnull(strstr(refused("%(message)q"), "%(message)"));
  ck_assert_ptr_nonnull(strstr(refused("%(message)"), "%(message)"));
  ck_assert_ptr_nonnull(strstr(refused("%(message)d"), "%(message)"));
}
END_TEST

START_TEST(control_characters_are_shown_not_sent) {
  ck_assert_str_eq(MESSAGE("a\x1b[31mb\rc\x7f\x01"), "a\\x1b[31mb\\rc\\x7f\\x01");
  ck_assert_str_eq(MESSAGE("a\0b"), "a\\x00b");
  ck_assert_str_eq(MESSAGE("tab\there"), "tab\there");
  ck_assert_str_eq(MESSAGE("\xc2\x9b"
                           "31m"),
                   "\\u009b31m");
}
END_TEST

START_TEST(the_odd_name_of_a_file_has_room) {
  char name[60];
  memset(name, 1, sizeof name);
  line.file = (tiny_span){name, sizeof name};
  ck_assert_uint_eq(strlen(by("%(filename)s")), sizeof name * strlen("\\x01"));
}
END_TEST

START_TEST(a_newline_cannot_forge_a_line) {
  ck_assert_str_eq(MESSAGE("one\n<INFO: srv(77)> two\n\n"), "one\n    <INFO: srv(77)> two");
}
END_TEST

START_TEST(good_utf8_stays_and_bad_is_shown) {
  ck_assert_str_eq(MESSAGE("Zürich – 東京 🙂"), "Zürich – 東京 🙂");
  ck_assert_str_eq(MESSAGE("caf\xe9 ok"), "caf\\xe9 ok");
  ck_assert_str_eq(MESSAGE("\xed\xa0\x80 \xc0\xaf \xf5"), "\\xed\\xa0\\x80 \\xc0\\xaf \\xf5");
  ck_assert_str_eq(MESSAGE("cut \xe6\x9d"), "cut \\xe6\\x9d");
}
END_TEST

/* Every byte at every place of the eight that are looked at together. */
START_TEST(an_odd_byte_is_found_wherever_it_stands) {
  for (int at = 0; at < 24; at++) {
    char text[25] = "abcdefghijklmnopqrstuvwx";
    text[at] = 7;
    message(text, 24);
    ck_assert_uint_eq(strlen(written), 24 + 3);
    ck_assert_int_eq(strncmp(written + at, "\\x07", 4), 0);
  }
}
END_TEST

START_TEST(json_is_one_object_with_its_members_in_order) {
  ck_assert_str_eq(by("json"), "{\"time\":\"2024-05-31T23:59:58.007654+02:00\",\"level\":\"INFO\","
                               "\"name\":\"srv\",\"pid\":77,\"file\":\"a.lua\",\"line\":42,"
                               "\"msg\":\"hello\"}");
}
END_TEST

START_TEST(json_takes_any_bytes) {
  static const char bytes[] = "q\" b\\ n\n t\t r\r e\x1b z\0 ü \xff \xc2\x9b";
  line.text = (tiny_span){bytes, sizeof bytes - 1};
  json_t *object = json_loads(by("json"), JSON_ALLOW_NUL, NULL);
  ck_assert_ptr_nonnull(object);
  const json_t *msg = json_object_get(object, "msg");
  static const char expected[] = "q\" b\\ n\n t\t r\r e\x1b z\0 ü \\xff \xc2\x9b";
  ck_assert_uint_eq(json_string_length(msg), sizeof expected - 1);
  ck_assert_mem_eq(json_string_value(msg), expected, sizeof expected - 1);
  json_decref(object);
}
END_TEST

START_TEST(fields_join_the_json_object_and_follow_the_text) {
  line.fields = (tiny_span){"{\"user\":\"x\",\"n\":1}", 18};
  const char *end = strstr(by("json"), "\"msg\"");
  ck_assert_str_eq(end, "\"msg\":\"hello\",\"user\":\"x\",\"n\":1}");
  ck_assert_str_eq(by("%(message)s"), "hello {\"user\":\"x\",\"n\":1}");
  line.fields = (tiny_span){"{}", 2};
  ck_assert_ptr_nonnull(strstr(by("json"), "\"hello\"}"));
}
END_TEST

START_TEST(too_little_room_cuts_and_never_overruns) {
  static const char *const specs[] = {"%(asctime)10s %(levelname)-9s %(message)s", "json"};
  line.text = (tiny_span){"ü\n\x1b"
                          "abc\xff",
                          8};
  for (int i = 0; i < 2; i++) {
    tiny_format *format = tiny_format_new(specs[i], "srv", 77, why, sizeof why);
    for (size_t room = 0; room < 200; room++) {
      memset(written, '#', sizeof written);
      char *end = tiny_format_write(format, &local, &line, written, written + room);
      ck_assert(end <= written + room);
      ck_assert_int_eq(written[room], '#');
    }
    tiny_format_free(format);
  }
}
END_TEST

START_TEST(the_date_is_right_in_every_zone_and_year) {
  static const char *const zones[] = {"UTC", "Europe/Zurich", "America/St_Johns", "Asia/Kathmandu"};
  for (int zone = 0; zone < 4; zone++) {
    setenv("TZ", zones[zone], 1);
    tzset();
    local = (tiny_clock){0};
    for (int64_t second = -5000000000; second < 20000000000; second += 9876543) {
      char expected[32], actual[32];
      struct tm tm;
      time_t when = second;
      strftime(expected, sizeof expected, "%F %T", localtime_r(&when, &tm));
      tiny_clock_set(&local, second);
      snprintf(actual, sizeof actual, "%s %s", local.date, local.time);
      ck_assert_str_eq(actual, expected);
    }
  }
}
END_TEST

START_TEST(the_hour_changes_where_summer_begins) {
  tiny_clock_set(&local, 1711846799); /* 2024-03-31 */
  ck_assert_str_eq(local.time, "01:59:59");
  tiny_clock_set(&local, 1711846800);
  ck_assert_str_eq(local.time, "03:00:00");
  local.frozen = true;
  tiny_clock_set(&local, 1729990800); /* winter again, but nobody may be asked */
  ck_assert_str_eq(local.time, "03:00:00");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("log_format");
  TCase *tests = tcase_create("format");
  tcase_add_checked_fixture(tests, setup, NULL);
  tcase_add_test(tests, the_default_format_is_written_as_promised);
  tcase_add_test(tests, every_field_has_its_value);
  tcase_add_test(tests, widths_and_precisions_work_as_in_python);
  tcase_add_test(tests, a_bad_format_is_refused_with_its_culprit);
  tcase_add_test(tests, control_characters_are_shown_not_sent);
  tcase_add_test(tests, the_odd_name_of_a_file_has_room);
  tcase_add_test(tests, a_newline_cannot_forge_a_line);
  tcase_add_test(tests, good_utf8_stays_and_bad_is_shown);
  tcase_add_test(tests, an_odd_byte_is_found_wherever_it_stands);
  tcase_add_test(tests, json_is_one_object_with_its_members_in_order);
  tcase_add_test(tests, json_takes_any_bytes);
  tcase_add_test(tests, fields_join_the_json_object_and_follow_the_text);
  tcase_add_test(tests, too_little_room_cuts_and_never_overruns);
  tcase_add_test(tests, the_date_is_right_in_every_zone_and_year);
  tcase_add_test(tests, the_hour_changes_where_summer_begins);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
