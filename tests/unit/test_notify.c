/* SPDX-License-Identifier: MIT
 * test_notify.c -- a service manager that listens. */
#include "notify.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int manager;
static char folder[] = "/tmp/tiny-notify-XXXXXX", path[64], heard[1024];

/* 'name' begins with @ for an abstract one. */
static void listen_as(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t size = strlen(name);
  memcpy(address.sun_path, name, size);
  if (*name == '@') address.sun_path[0] = 0;
  manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                   0);
  setenv("NOTIFY_SOCKET", name, 1);
}

static const char *hear(void) {
  ssize_t size = recv(manager, heard, sizeof heard - 1, 0);
  if (size < 0) return NULL;
  heard[size] = 0;
  return heard;
}

static void setup(void) {
  strcpy(folder, "/tmp/tiny-notify-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/socket", folder);
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  listen_as(path);
}

static void teardown(void) {
  close(manager);
  unlink(path);
  rmdir(folder);
}

START_TEST(all_that_there_is_to_say_is_said_in_its_words) {
  tiny_notify *n = tiny_notify_open();
  tiny_notify_ready(n, "generation 1");
  ck_assert_str_eq(hear(), "READY=1\nSTATUS=generation 1");
  tiny_notify_ready(n, NULL);
  ck_assert_str_eq(hear(), "READY=1\n");
  tiny_notify_status(n, "no\nREADY=1");
  ck_assert_str_eq(hear(), "STATUS=no READY=1");
  tiny_notify_stopping(n, "close");
  ck_assert_str_eq(hear(), "STOPPING=1\nSTATUS=close");
  tiny_notify_alive(n);
  ck_assert_str_eq(hear(), "WATCHDOG=1\n");
  tiny_notify_extend(n, 2500);
  ck_assert_str_eq(hear(), "EXTEND_TIMEOUT_USEC=2500000\n");
  ck_assert_ptr_null(hear());
  tiny_notify_close(n);
}
END_TEST

START_TEST(a_reload_is_told_with_the_monotonic_time) {
  struct timespec now;
  unsigned long long usec = 0;
  tiny_notify *n = tiny_notify_open();
  tiny_notify_reloading(n);
  clock_gettime(CLOCK_MONOTONIC, &now);
  ck_assert_int_eq(sscanf(hear(), "RELOADING=1\nMONOTONIC_USEC=%llu\n", &usec), 1);
  unsigned long long late =
      (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000u - usec;
  ck_assert_uint_lt(late, 10000000);
  tiny_notify_close(n);
}
END_TEST

START_TEST(a_long_status_is_cut_and_not_more) {
  char status[2000] = "";
  memset(status, 'x', sizeof status - 1);
  tiny_notify *n = tiny_notify_open();
  tiny_notify_status(n, status);
  ck_assert_uint_gt(strlen(hear()), 400);
  tiny_notify_close(n);
}
END_TEST

START_TEST(an_abstract_address_will_do) {
  char name[64];
  close(manager);
  snprintf(name, sizeof name, "@tiny-test-%d", (int)getpid());
  listen_as(name);
  tiny_notify *n = tiny_notify_open();
  tiny_notify_alive(n);
  ck_assert_str_eq(hear(), "WATCHDOG=1\n");
  tiny_notify_close(n);
}
END_TEST

START_TEST(children_see_none_of_it) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  tiny_notify *n = tiny_notify_open();
  ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
  ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
  ck_assert_uint_eq(tiny_notify_watchdog_ns(n), 3000000000u);
  tiny_notify_close(n);
}
END_TEST

START_TEST(a_watchdog_that_is_meant_for_another_is_not_ours) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  tiny_notify *n = tiny_notify_open();
  ck_assert_uint_eq(tiny_notify_watchdog_ns(n), 0);
  tiny_notify_close(n);
}
END_TEST

START_TEST(a_manager_that_does_not_listen_holds_nobody_up) {
  tiny_notify *n = tiny_notify_open();
  for (int i = 0; i < 5000; i++) tiny_notify_status(n, "a full queue is no reason to wait");
  close(manager);
  unlink(path);
  tiny_notify_ready(n, "nor is a socket that is gone");
  tiny_notify_close(n);
}
END_TEST

START_TEST(without_a_manager_nothing_is_said) {
  const char *bad[] = {NULL, "", "/", "relative", "@"};
  char longer[200];
  memset(longer, 'x', sizeof longer);
  longer[0] = '/', longer[199] = 0;
  for (int i = 0; i < 6; i++) {
    if (i == 5)
      setenv("NOTIFY_SOCKET", longer, 1);
    else if (bad[i])
      setenv("NOTIFY_SOCKET", bad[i], 1);
    else
      unsetenv("NOTIFY_SOCKET");
    ck_assert_ptr_null(tiny_notify_open());
  }
  tiny_notify_ready(NULL, "x");
  tiny_notify_reloading(NULL);
  tiny_notify_alive(NULL);
  tiny_notify_extend(NULL, 1);
  ck_assert_uint_eq(tiny_notify_watchdog_ns(NULL), 0);
  tiny_notify_close(NULL);
  ck_assert_ptr_null(hear());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("notify");
  TCase *c = tcase_create("notify");
  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_test(c, all_that_there_is_to_say_is_said_in_its_words);
  tcase_add_test(c, a_reload_is_told_with_the_monotonic_time);
  tcase_add_test(c, a_long_status_is_cut_and_not_more);
  tcase_add_test(c, an_abstract_address_will_do);
  tcase_add_test(c, children_see_none_of_it);
  tcase_add_test(c, a_watchdog_that_is_meant_for_another_is_not_ours);
  tcase_add_test(c, a_manager_that_does_not_listen_holds_nobody_up);
  tcase_add_test(c, without_a_manager_nothing_is_said);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
