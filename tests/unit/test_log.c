/* SPDX-License-Identifier: MIT
 * test_log.c -- a log from end to end: put, ring, thread, console on a pipe. */
#include "log_fixture.h"

START_TEST(lines_wait_until_the_log_is_configured) {
  put(TINY_INFO, "early");
  put(TINY_WARN, "also early");
  configure(json_object());
  put(TINY_INFO, "late");
  ck_assert_str_eq(output(), "INFO early\nWARN also early\nINFO late\n");
}
END_TEST

START_TEST(lines_below_the_level_are_not_taken) {
  configure(json_pack("{ss}", "log.console.level", "WARN"));
  ck_assert_int_eq(tiny_log_threshold(lines), TINY_WARN);
  put(TINY_INFO, "no");
  put(TINY_ERROR, "yes");
  ck_assert_str_eq(output(), "ERROR yes\n");
  ck_assert_uint_eq(tiny_log_count(lines).lines, 1);
}
END_TEST

static int set_level(const char *sink, tiny_level level) {
  return tiny_log_set_level(lines, sink, level, why, sizeof why);
}

static int changes;
static void on_changed(void *data) { changes += data == &changes; }

START_TEST(a_level_holds_until_the_next_configure) {
  changes = 0;
  configure(json_object());
  tiny_log_on_threshold(lines, on_changed, &changes);
  ck_assert_int_eq(set_level("console", TINY_DEBUG), 0);
  ck_assert_int_eq(set_level("nowhere", TINY_DEBUG), -1);
  ck_assert_str_eq(why, "unknown sink \"nowhere\": it is console, syslog, file_log or email");
  put(TINY_DEBUG, "seen");
  ck_assert_str_eq(output(), "DEBUG seen\n");
  ck_assert_int_eq(changes, 1);
  configure(json_object());
  put(TINY_DEBUG, "unseen");
  ck_assert_str_eq(output(), "");
  ck_assert_int_eq(changes, 2);
}
END_TEST

START_TEST(a_level_given_to_a_sink_that_is_off_is_refused) {
  configure(json_object());
  ck_assert_int_eq(set_level("syslog", TINY_DEBUG), -1);
  ck_assert_str_eq(why, "log.syslog is off");
  ck_assert_int_eq(tiny_log_threshold(lines), TINY_INFO);
}
END_TEST

static void on_told(void *data, const tiny_logged *line) {
  ck_assert_int_eq(line->level, TINY_ERROR);
  ++*(int *)data;
}

START_TEST(a_level_for_all_is_none_for_the_program_around_us) {
  int told = 0;
  tiny_log_attach(lines, on_told, &told, TINY_ERROR);
  configure(json_object());
  ck_assert_int_eq(set_level("host", TINY_DEBUG), -1);
  ck_assert_int_eq(set_level(NULL, TINY_DEBUG), 0);
  put(TINY_DEBUG, "detail");
  put(TINY_ERROR, "failed");
  ck_assert_str_eq(output(), "DEBUG detail\nERROR failed\n");
  ck_assert_int_eq(told, 1);
}
END_TEST

START_TEST(lines_put_before_settings_change_keep_the_old_format) {
  configure(json_object());
  put(TINY_INFO, "old");
  configure(json_pack("{ss}", "log.console.format", "new: %(message)s"));
  put(TINY_INFO, "new");
  ck_assert_str_eq(output(), "INFO old\nnew: new\n");
}
END_TEST

START_TEST(a_ring_of_another_size_takes_over_without_losing_or_reordering) {
  char expected[4096] = "", text[16];
  for (int i = 0; i < 40; i++) {
    configure(json_pack("{sI}", "log.buffer", (json_int_t)(300000 + i % 3 * 100000)));
    snprintf(text, sizeof text, "%d", i);
    put(TINY_INFO, text);
    snprintf(expected + strlen(expected), 32, "INFO %d\n", i);
  }
  ck_assert_str_eq(output(), expected);
}
END_TEST

START_TEST(bad_settings_are_refused_and_change_nothing) {
  configure(json_object());
  tiny_conf *conf = tiny_conf_new(
      json_pack("{sssbss}", "svr.name", "srv", "log.console", 1, "log.console.format", "%(bad)s"),
      "/tmp/conf.lua");
  ck_assert_int_eq(tiny_log_configure(lines, conf, why, sizeof why), -1);
  ck_assert_str_eq(why, "log.console.format: unknown field \"%(bad)\"");
  ck_assert_int_eq(tiny_log_check(conf, why, sizeof why), -1);
  tiny_conf_drop(conf);
  put(TINY_INFO, "as before");
  ck_assert_str_eq(output(), "INFO as before\n");
}
END_TEST

START_TEST(where_a_line_was_written_is_shown_without_folders) {
  configure(json_pack("{ss}", "log.console.format", "%(filename)s:%(lineno)d:%(funcName)s"));
  tiny_log_put(lines, TINY_INFO, &(tiny_where){"a/b/c.lua", "go", 7}, "x", 1, NULL);
  tiny_log_put(lines, TINY_INFO, &(tiny_where){"[string \"a/b\"]", NULL, 8}, "x", 1, NULL);
  tiny_info(lines, "x");
  char expected[200];
  snprintf(expected, sizeof expected, "c.lua:7:go\n[string \"a/b\"]:8:\ntest_log.c:%d:%s\n",
           __LINE__ - 3, __func__);
  ck_assert_str_eq(output(), expected);
}
END_TEST

START_TEST(messages_up_to_64_kb_are_whole_and_longer_ones_marked) {
  configure(json_object());
  char *text = malloc(70000);
  memset(text, 'x', 70000);
  tiny_log_put(lines, TINY_INFO, NULL, text, 65536, NULL);
  ck_assert_uint_eq(strlen(output()), 65536 + 6);
  tiny_log_put(lines, TINY_INFO, NULL, text, 70000, NULL);
  ck_assert_uint_eq(strlen(output()), 65536 + 6 + strlen("... [4464 bytes cut]"));
  ck_assert_ptr_nonnull(strstr(got, "x... [4464 bytes cut]\n"));
  memset(text, '\n', 65536);
  text[65535] = 'x';
  tiny_log_put(lines, TINY_INFO, NULL, text, 65536, NULL);
  ck_assert_uint_eq(strlen(output()), 65535 * 5 + 7);
  free(text);
}
END_TEST

START_TEST(a_full_ring_drops_plain_lines_first_and_says_how_many) {
  char text[1000];
  memset(text, 'x', sizeof text);
  for (int i = 0; i < 5000; i++) tiny_log_put(lines, TINY_INFO, NULL, text, sizeof text, NULL);
  uint64_t dropped = tiny_log_count(lines).dropped;
  ck_assert_uint_gt(dropped, 1000);
  put(TINY_ERROR, "still room");
  ck_assert_uint_eq(tiny_log_count(lines).dropped, dropped);
  fcntl(console, F_SETFL, 0);
  configure(json_pack("{ss}", "log.console.level", "WARN"));
  snprintf(text, sizeof text,
           "WARN %llu lines were lost, log.buffer was full (DEBUG 0, INFO %llu, WARN 0, ERROR 0)\n"
           "ERROR still room\n",
           (unsigned long long)dropped, (unsigned long long)dropped);
  ck_assert_str_eq(output(), text);
}
END_TEST

START_TEST(a_log_that_nobody_configured_writes_its_lines_when_it_closes) {
  put(TINY_ERROR, "cannot start");
  tiny_log_close(lines, 5000);
  ssize_t n = read(console, got, sizeof got - 1);
  ck_assert_int_gt(n, 0);
  got[n] = 0;
  ck_assert_ptr_nonnull(strstr(got, ">> cannot start \n"));
  lines = tiny_log_open();
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("log");
  tcase_add_checked_fixture(tests, open_log, close_log);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, lines_wait_until_the_log_is_configured);
  tcase_add_test(tests, lines_below_the_level_are_not_taken);
  tcase_add_test(tests, a_level_holds_until_the_next_configure);
  tcase_add_test(tests, a_level_given_to_a_sink_that_is_off_is_refused);
  tcase_add_test(tests, a_level_for_all_is_none_for_the_program_around_us);
  tcase_add_test(tests, lines_put_before_settings_change_keep_the_old_format);
  tcase_add_test(tests, a_ring_of_another_size_takes_over_without_losing_or_reordering);
  tcase_add_test(tests, bad_settings_are_refused_and_change_nothing);
  tcase_add_test(tests, where_a_line_was_written_is_shown_without_folders);
  tcase_add_test(tests, messages_up_to_64_kb_are_whole_and_longer_ones_marked);
  tcase_add_test(tests, a_full_ring_drops_plain_lines_first_and_says_how_many);
  tcase_add_test(tests, a_log_that_nobody_configured_writes_its_lines_when_it_closes);
  return run_suite("log", tests);
}
