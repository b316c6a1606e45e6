/* SPDX-License-Identifier: MIT
 * test_log_file.c -- the file sink: appending, opening again, rotation, and trouble. */
#include "log_fixture.h"
#include "rotate.h"

#include <sys/stat.h>

static void log_to_file(json_t *more) {
  json_t *keys = json_pack("{ss}", "log.file_log", "app.log");
  json_object_set_new(keys, "log.file_log.level", json_string("INFO"));
  json_object_set_new(keys, "log.console.level", json_string("WARN"));
  json_object_update(keys, more);
  json_decref(more);
  configure(keys);
}

static void flush(void) { ck_assert_int_eq(tiny_log_flush(lines, 5000), 0); }

static void write_file(const char *name, const char *text) {
  FILE *file = fopen(in_folder(name), "w");
  fputs(text, file);
  fclose(file);
}

/* By one clock for all of a test, lest a period ends within it. */
static time_t ago(int seconds) {
  static time_t now;
  if (!now) now = time(NULL);
  return now - seconds;
}

static void set_age(const char *name, int seconds) {
  struct timespec times[2] = {{ago(seconds), 0}, {ago(seconds), 0}};
  ck_assert_int_eq(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

START_TEST(lines_are_appended_to_what_is_there) {
  write_file("app.log", "before\n");
  log_to_file(json_object());
  put(TINY_INFO, "after");
  flush();
  ck_assert_str_eq(content("app.log"), "before\nafter\n");
}
END_TEST

START_TEST(a_file_that_was_moved_away_is_opened_again_on_request) {
  log_to_file(json_object());
  put(TINY_INFO, "one");
  flush();
  char moved[300];
  strcpy(moved, in_folder("moved"));
  ck_assert_int_eq(rename(in_folder("app.log"), moved), 0);
  put(TINY_INFO, "two");
  tiny_log_reopen(lines);
  put(TINY_INFO, "three");
  flush();
  ck_assert_str_eq(content("moved"), "one\ntwo\n");
  ck_assert_str_eq(content("app.log"), "three\n");
}
END_TEST

START_TEST(a_reload_opens_the_file_again_or_another_one) {
  log_to_file(json_object());
  put(TINY_INFO, "one");
  log_to_file(json_pack("{ss}", "log.file_log", "other.log"));
  put(TINY_INFO, "two");
  flush();
  ck_assert_str_eq(content("app.log"), "one\n");
  ck_assert_str_eq(content("other.log"), "two\n");
  unlink(in_folder("other.log"));
  log_to_file(json_pack("{ss}", "log.file_log", "other.log"));
  put(TINY_INFO, "three");
  flush();
  ck_assert_str_eq(content("other.log"), "three\n");
  log_to_file(json_pack("{ss}", "log.file_log", ""));
  put(TINY_INFO, "four");
  flush();
  ck_assert_str_eq(content("other.log"), "three\n");
}
END_TEST

/* The name that a file of so long ago gets. */
static const char *aged_name(const char *form, int seconds) {
  static char name[80];
  time_t then = ago(seconds);
  struct tm tm;
  strftime(name, sizeof name, form, localtime_r(&then, &tm));
  return name;
}

START_TEST(the_file_of_an_older_period_is_set_aside) {
  static const struct {
    const char *rotate, *form;
    int age;
  } cases[] = {{"D", "app.log.%Y-%m-%d", 24 * 3600},
               {"H", "app.log.%Y-%m-%d_%H", 3600},
               {"M", "app.log.%Y-%m-%d_%H-%M", 120}};
  for (int i = 0; i < 3; i++) {
    write_file("app.log", "old\n");
    set_age("app.log", cases[i].age);
    log_to_file(
        json_pack("{sssi}", "log.file_log.rotate", cases[i].rotate, "log.file_log.keep", 7));
    put(TINY_INFO, "new");
    flush();
    ck_assert_str_eq(content(aged_name(cases[i].form, cases[i].age)), "old\n");
    ck_assert_str_eq(content("app.log"), "new\n");
  }
}
END_TEST

START_TEST(a_file_of_this_period_stays) {
  write_file("app.log", "today\n");
  log_to_file(json_pack("{sssi}", "log.file_log.rotate", "D", "log.file_log.keep", 7));
  put(TINY_INFO, "more");
  flush();
  ck_assert_str_eq(content("app.log"), "today\nmore\n");
}
END_TEST

/* Minutes since 1970 as if local time were UTC: 2024-05-31 23:59 is 28619999. */
START_TEST(rotation_by_time_keeps_the_newest_and_replaces_none) {
  char path[300];
  strcpy(path, in_folder("app.log"));
  for (int i = 0; i < 5; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    write_file("app.log", text);
    ck_assert_int_eq(tiny_rotate_by_time(path, 28619999 + i / 2, 1, 3), 0);
  }
  ck_assert_ptr_null(content("app.log"));
  ck_assert_ptr_null(content("app.log.2024-05-31_23-59"));
  ck_assert_ptr_null(content("app.log.2024-05-31_23-59.1"));
  ck_assert_str_eq(content("app.log.2024-06-01_00-00"), "2");
  ck_assert_str_eq(content("app.log.2024-06-01_00-00.1"), "3");
  ck_assert_str_eq(content("app.log.2024-06-01_00-01"), "4");
  ck_assert_int_eq(tiny_rotate_by_time(path, 28619999, 1, 3), 0); /* nothing there */
}
END_TEST

START_TEST(rotation_by_time_touches_no_other_files) {
  char path[300];
  strcpy(path, in_folder("app.log"));
  write_file("app.log", "x");
  write_file("app.log.gz", "x");
  write_file("app.log.2024-notes", "x");
  write_file("app.log.old.2024-05-01", "x");
  write_file("other.2024-05-01", "x");
  ck_assert_int_eq(tiny_rotate_by_time(path, 28619999, 24 * 60, 0), 0);
  ck_assert_ptr_null(content("app.log.2024-05-31"));
  ck_assert_ptr_nonnull(content("app.log.gz"));
  ck_assert_ptr_nonnull(content("app.log.2024-notes"));
  ck_assert_ptr_nonnull(content("app.log.old.2024-05-01"));
  ck_assert_ptr_nonnull(content("other.2024-05-01"));
}
END_TEST

/* Adds up the numbers in a file, which must follow on each other and be whole lines. */
static int check_numbers(const char *name, int next, size_t most) {
  const char *text = content(name);
  ck_assert_ptr_nonnull(text);
  ck_assert_uint_le(strlen(text), most);
  for (int number, used; sscanf(text, "number %d%n", &number, &used) == 1; text += used + 1) {
    ck_assert_int_eq(number, next++);
    ck_assert_int_eq(text[used], '\n');
  }
  ck_assert_int_eq(*text, 0);
  return next;
}

START_TEST(rotation_by_size_never_exceeds_it_and_loses_no_line) {
  char text[32];
  log_to_file(
      json_pack("{s{si}si}", "log.file_log.rotate", "size", 10000, "log.file_log.keep", 10));
  for (int i = 0; i < 5000; i++) {
    snprintf(text, sizeof text, "number %d", i);
    put(TINY_INFO, text);
  }
  flush();
  int next = 0;
  for (int i = 5; i >= 1; i--) {
    snprintf(text, sizeof text, "app.log.%d", i);
    next = check_numbers(text, next, 10000);
  }
  ck_assert_int_eq(check_numbers("app.log", next, 10000), 5000);
  ck_assert_ptr_null(content("app.log.6"));
}
END_TEST

START_TEST(rotation_by_size_keeps_as_many_as_it_should) {
  char text[32];
  log_to_file(json_pack("{s{si}si}", "log.file_log.rotate", "size", 1024, "log.file_log.keep", 2));
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "number %d", i);
    put(TINY_INFO, text);
  }
  flush();
  ck_assert_ptr_nonnull(content("app.log.2"));
  ck_assert_ptr_null(content("app.log.3"));
}
END_TEST

START_TEST(a_line_longer_than_the_size_has_a_file_of_its_own) {
  char text[3001];
  memset(text, 'x', 3000);
  text[3000] = 0;
  log_to_file(json_pack("{s{si}si}", "log.file_log.rotate", "size", 1024, "log.file_log.keep", 3));
  put(TINY_INFO, "a");
  put(TINY_INFO, text);
  put(TINY_INFO, "b");
  flush();
  ck_assert_str_eq(content("app.log"), "b\n");
  ck_assert_uint_eq(strlen(content("app.log.1")), 3001);
  ck_assert_str_eq(content("app.log.2"), "a\n");
}
END_TEST

START_TEST(what_cannot_be_rotated_is_told_once_and_written_on) {
  char aside[400];
  write_file("app.log", "old\n");
  set_age("app.log", 24 * 3600);
  snprintf(aside, sizeof aside, "%s", aged_name("app.log.%Y-%m-%d", 24 * 3600));
  for (int i = 0; i < 1000; i++) { /* every name it could get is taken */
    char name[420];
    snprintf(name, sizeof name, i ? "%s.%d" : "%s", aside, i);
    write_file(name, "");
  }
  log_to_file(json_pack("{sssi}", "log.file_log.rotate", "D", "log.file_log.keep", 7));
  put(TINY_INFO, "new");
  put(TINY_INFO, "new");
  ck_assert_ptr_nonnull(strstr(output(), "cannot be rotated: File exists\n"));
  ck_assert_uint_eq(strspn(strchr(got, '\n'), "\n"), 1);
  ck_assert_str_eq(content("app.log"), "old\nnew\nnew\n");
}
END_TEST

static int refused(const char *path) {
  tiny_conf *conf = tiny_conf_new(json_pack("{ssss}", "svr.name", "srv", "log.file_log", path),
                                  in_folder("conf.lua"));
  int check = tiny_log_check(conf, why, sizeof why);
  tiny_conf_drop(conf);
  return check;
}

START_TEST(a_path_that_cannot_work_is_refused_with_the_reason) {
  char expected[200];
  snprintf(expected, sizeof expected, "log.file_log: folder \"%s/none\": No such file or directory",
           folder);
  ck_assert_int_eq(refused("none/app.log"), -1);
  ck_assert_str_eq(why, expected);
  ck_assert_int_eq(refused("."), -1);
  ck_assert_ptr_nonnull(strstr(why, "Is a directory"));
  ck_assert_int_eq(refused("/dev/null/app.log"), -1);
  ck_assert_str_eq(why, "log.file_log: \"/dev/null/app.log\": Not a directory");
  ck_assert_int_eq(refused("app.log"), 0);
  ck_assert_ptr_null(content("app.log")); /* a check makes no file */
}
END_TEST

START_TEST(a_full_disk_is_told_once_elsewhere) {
  log_to_file(json_pack("{ss}", "log.file_log", "/dev/full"));
  put(TINY_WARN, "one");
  await_console("ERROR log.file_log does not work: No space left on device; trying again\n");
  nap_ms(300);
  put(TINY_WARN, "two");
  ck_assert_str_eq(output(), "WARN two\n");
}
END_TEST

START_TEST(what_waited_for_a_folder_is_written_when_it_is_back) {
  char inner[300], path[400];
  snprintf(inner, sizeof inner, "%s/logs", folder);
  snprintf(path, sizeof path, "%s/app.log", inner);
  ck_assert_int_eq(mkdir(inner, 0777), 0);
  log_to_file(json_pack("{ss}", "log.file_log", path));
  ck_assert_int_eq(rmdir(inner), 0);
  put(TINY_INFO, "kept");
  await_console("ERROR log.file_log does not work: No such file or directory; trying again\n");
  ck_assert_int_eq(mkdir(inner, 0777), 0);
  await_console("s, 0 lines were lost\n");
  put(TINY_INFO, "more");
  flush();
  ck_assert_ptr_eq(strstr(content("logs/app.log"), "kept\nlog.file_log works again"), got);
  ck_assert_ptr_nonnull(strstr(got, "lost\nmore\n"));
  unlink(path);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("file");
  tcase_add_checked_fixture(tests, open_log, close_log);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, lines_are_appended_to_what_is_there);
  tcase_add_test(tests, a_file_that_was_moved_away_is_opened_again_on_request);
  tcase_add_test(tests, a_reload_opens_the_file_again_or_another_one);
  tcase_add_test(tests, the_file_of_an_older_period_is_set_aside);
  tcase_add_test(tests, a_file_of_this_period_stays);
  tcase_add_test(tests, rotation_by_time_keeps_the_newest_and_replaces_none);
  tcase_add_test(tests, rotation_by_time_touches_no_other_files);
  tcase_add_test(tests, rotation_by_size_never_exceeds_it_and_loses_no_line);
  tcase_add_test(tests, rotation_by_size_keeps_as_many_as_it_should);
  tcase_add_test(tests, a_line_longer_than_the_size_has_a_file_of_its_own);
  tcase_add_test(tests, what_cannot_be_rotated_is_told_once_and_written_on);
  tcase_add_test(tests, a_path_that_cannot_work_is_refused_with_the_reason);
  tcase_add_test(tests, a_full_disk_is_told_once_elsewhere);
  tcase_add_test(tests, what_waited_for_a_folder_is_written_when_it_is_back);
  return run_suite("log_file", tests);
}
