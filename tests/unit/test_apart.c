/* SPDX-License-Identifier: MIT
 * test_apart.c -- what is told by a copy of the process, whatever becomes of that. */
#include "apart.h"
#include "suite.h"

#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 30000, SHORT_MS = 50 };

static tiny_apart *apart;

static void setup(void) { ck_assert_ptr_nonnull(apart = tiny_apart_open()); }

/* Nothing is left to wait for, either. */
static void teardown(void) {
  tiny_apart_close(apart);
  ck_assert_int_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

static void tell(tiny_report *report, const void *data) { tiny_report_put(report, data); }

static void tell_and_crash(tiny_report *report, const void *data) {
  tell(report, data);
  raise(SIGSEGV);
}

static void tell_and_stay(tiny_report *report, const void *data) {
  tell(report, data);
  for (;;) pause();
}

START_TEST(what_is_put_there_arrives) {
  ck_assert_str_eq(tiny_apart_tell(apart, tell, "one", LONG_MS), "one");
  ck_assert_str_eq(tiny_apart_tell(apart, tell, "", LONG_MS), "");
}
END_TEST

START_TEST(a_crash_harms_nobody) {
  ck_assert_str_eq(tiny_apart_tell(apart, tell_and_crash, "until here", LONG_MS), "until here");
}
END_TEST

START_TEST(what_does_not_end_is_ended) {
  ck_assert_str_eq(tiny_apart_tell(apart, tell_and_stay, "stuck", SHORT_MS), "stuck");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("apart");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, setup, teardown);
  tcase_add_test(all, what_is_put_there_arrives);
  tcase_add_test(all, a_crash_harms_nobody);
  tcase_add_test(all, what_does_not_end_is_ended);
  suite_add_tcase(suite, all);
  return suite_run(suite);
}
