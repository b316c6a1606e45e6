/* SPDX-License-Identifier: MIT
 * test_inherited.c -- descriptors handed over at start. */
#include "inherited.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void offer(int count, const char *names, pid_t pid) {
  char text[24];
  for (int i = 0; i < count; i++) dup2(STDERR_FILENO, 3 + i);
  snprintf(text, sizeof text, "%d", (int)pid);
  setenv("LISTEN_PID", text, 1);
  snprintf(text, sizeof text, "%d", count);
  setenv("LISTEN_FDS", text, 1);
  if (names)
    setenv("LISTEN_FDNAMES", names, 1);
  else
    unsetenv("LISTEN_FDNAMES");
}

/* Run 'fn' in a child, as Check itself uses these descriptors; it says that all is well by ending with 0. */
static void in_child(int (*fn)(void)) {
  pid_t child = fork();
  if (child == 0) _exit(fn());
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "step %d failed",
                WEXITSTATUS(status));
}

static int find_by_name(void) {
  offer(3, "http:admin:http", getpid());
  tiny_inherited *all = tiny_inherited_open();
  if (tiny_inherited_find(all, "http") != 3 || tiny_inherited_find(all, "admin") != 4) return 1;
  if (tiny_inherited_find(all, "adm") != -1 || tiny_inherited_find(all, "") != -1) return 2;
  if (tiny_inherited_find(all, "http:admin") != -1) return 3;
  if (!(fcntl(4, F_GETFD) & FD_CLOEXEC)) return 4;
  if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES")) return 5;
  tiny_inherited_close(all);
  return fcntl(3, F_GETFD) == -1 ? 0 : 6;
}

static int find_unknown(void) {
  offer(2, NULL, getpid());
  tiny_inherited *all = tiny_inherited_open();
  if (tiny_inherited_find(all, "unknown") != 3) return 1;
  tiny_inherited_close(all);
  offer(2, "a", getpid());
  all = tiny_inherited_open();
  if (tiny_inherited_find(all, "unknown") != 4) return 2;
  tiny_inherited_close(all);
  return 0;
}

static int leave_alone(void) {
  offer(1, "http", getppid());
  if (tiny_inherited_open() || fcntl(3, F_GETFD) == -1) return 1;
  offer(0, "http", getpid());
  if (tiny_inherited_open() || tiny_inherited_open()) return 2;
  if (tiny_inherited_find(NULL, "http") != -1) return 3;
  tiny_inherited_close(NULL);
  return 0;
}

START_TEST(sockets_are_found_by_name) { in_child(find_by_name); }
END_TEST

START_TEST(sockets_without_a_name_are_unknown) { in_child(find_unknown); }
END_TEST

START_TEST(what_is_meant_for_another_is_left_alone) { in_child(leave_alone); }
END_TEST

int main(void) {
  Suite *suite = suite_create("inherited");
  TCase *c = tcase_create("inherited");
  tcase_add_test(c, sockets_are_found_by_name);
  tcase_add_test(c, sockets_without_a_name_are_unknown);
  tcase_add_test(c, what_is_meant_for_another_is_left_alone);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
