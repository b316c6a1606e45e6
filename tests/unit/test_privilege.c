/* SPDX-License-Identifier: MIT
 * test_privilege.c -- becoming another user; each in a child of its own. Without root only the
 * refusals can be tried. */
#include "privilege.h"
#include "suite.h"

#include <check.h>
#include <grp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char why[512];

/* Run 'fn' in a child, which says that all is well by ending with 0. */
static void in_child(int (*fn)(void)) {
  pid_t child = fork();
  if (child == 0) _exit(fn());
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "step %d failed",
                WEXITSTATUS(status));
}

static void *uid_of_thread(void *data) {
  *(uid_t *)data = getuid();
  return data;
}

static int become_nobody(void) {
  tiny_identity id;
  gid_t groups[64];
  uid_t seen = 0;
  pthread_t thread;
  if (tiny_privilege_find(&id, "nobody", NULL, why, sizeof why) != 0) return 1;
  if (tiny_privilege_drop(&id, why, sizeof why) != 0) return 2;
  if (getuid() != id.uid || geteuid() != id.uid || getgid() != id.gid || getegid() != id.gid)
    return 3;
  if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0) return 4;
  int count = getgroups(64, groups);
  for (int i = 0; i < count; i++)
    if (groups[i] == 0) return 5;
  if (prctl(PR_GET_DUMPABLE) != 1) return 6;
  pthread_create(&thread, NULL, uid_of_thread, &seen);
  pthread_join(thread, NULL);
  if (seen != id.uid) return 7;
  if (tiny_privilege_drop(&id, why, sizeof why) != 0) return 8; /* it is that already */
  return tiny_privilege_find(&id, "root", NULL, why, sizeof why) == 0 ? 9 : 0;
}

static int become_group_only(void) {
  tiny_identity id;
  if (tiny_privilege_find(&id, NULL, "nogroup", why, sizeof why) != 0) return 1;
  if (tiny_privilege_drop(&id, why, sizeof why) != 0) return 2;
  return getuid() != 0 || getgid() != id.gid || getegid() != id.gid ? 3 : 0;
}

static int become_numbers(void) {
  tiny_identity id;
  if (tiny_privilege_find(&id, "54321", "54322", why, sizeof why) != 0) return 1;
  if (tiny_privilege_drop(&id, why, sizeof why) != 0) return 2;
  return getuid() != 54321 || getgid() != 54322 || getgroups(0, NULL) != 1 ? 3 : 0;
}

static int fail_to_become(void) {
  tiny_identity id;
  if (tiny_privilege_find(&id, "nobody", NULL, why, sizeof why) != 0) return 1;
  if (setresgid(54321, 54321, 54321) != 0 || setresuid(54321, 54321, 54321) != 0) return 2;
  if (tiny_privilege_drop(&id, why, sizeof why) == 0) return 3;
  return strstr(why, "cannot become user") ? 0 : 4;
}

START_TEST(a_user_is_for_good_and_for_all_threads) {
  if (geteuid() == 0) in_child(become_nobody);
}
END_TEST

START_TEST(a_group_alone_can_change) {
  if (geteuid() == 0) in_child(become_group_only);
}
END_TEST

START_TEST(numbers_need_no_account) {
  if (geteuid() == 0) in_child(become_numbers);
}
END_TEST

START_TEST(what_cannot_be_done_is_an_error) {
  if (geteuid() == 0) in_child(fail_to_become);
}
END_TEST

static void check_refused(const char *user, const char *group, const char *reason) {
  tiny_identity id;
  ck_assert_int_eq(tiny_privilege_find(&id, user, group, why, sizeof why), -1);
  ck_assert_msg(strstr(why, reason), "%s", why);
}

START_TEST(unknown_names_are_refused) {
  check_refused("no-such-user-here", NULL, "svr.user no-such-user-here: there is no such user");
  check_refused(NULL, "no-such-group-here", "svr.group no-such-group-here: there is no such group");
  check_refused("54321", NULL, "needs svr.group");
  check_refused("-1", NULL, "no such user");
  check_refused("4294967295", NULL, "no such user");
  check_refused("", NULL, "no such user");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("privilege");
  TCase *c = tcase_create("privilege");
  tcase_add_test(c, a_user_is_for_good_and_for_all_threads);
  tcase_add_test(c, a_group_alone_can_change);
  tcase_add_test(c, numbers_need_no_account);
  tcase_add_test(c, what_cannot_be_done_is_an_error);
  tcase_add_test(c, unknown_names_are_refused);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
