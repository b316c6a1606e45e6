/* SPDX-License-Identifier: MIT
 * test_pidfile.c -- one server of a name, and the note by which it is found. */
#include "note.h"
#include "pidfile.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/tiny-pidfile-XXXXXX";
static char path[256], why[512];
static tiny_conf *conf;

static tiny_conf *conf_at(const char *file) {
  return tiny_conf_new(json_pack("{s:s,s:s}", "svr.name", "one", "svr.run_dir", folder), file);
}

static const char *in_folder(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void setup(void) {
  strcpy(folder + strlen(folder) - 6, "XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  conf = conf_at(in_folder("conf.lua"));
  why[0] = 0;
}

/* That the folder can be removed shows that nothing was left in it. */
static void teardown(void) {
  tiny_conf_drop(conf);
  ck_assert_int_eq(rmdir(folder), 0);
}

static long written_pid(void) {
  char text[32] = "";
  FILE *file = fopen(in_folder("one.pid"), "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
  fclose(file);
  return strtol(text, NULL, 10);
}

START_TEST(the_pid_file_holds_the_pid_and_goes_at_the_end) {
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_msg(pidfile != NULL, "%s", why);
  ck_assert_int_eq(written_pid(), getpid());
  tiny_pidfile_unlock(pidfile);
}
END_TEST

START_TEST(a_second_server_is_refused_and_told_the_pid) {
  char pid[32];
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_ptr_null(tiny_pidfile_lock(conf, why, sizeof why));
  snprintf(pid, sizeof pid, "pid %d ", getpid());
  ck_assert_msg(strstr(why, pid) != NULL, "%s", why);
  ck_assert_msg(strstr(why, "\"one\"") != NULL, "%s", why);
  tiny_pidfile_unlock(pidfile);
}
END_TEST

/* fcntl locks would go here. */
START_TEST(opening_and_closing_the_file_keeps_the_lock) {
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_int_eq(written_pid(), getpid());
  ck_assert_ptr_null(tiny_pidfile_lock(conf, why, sizeof why));
  tiny_pidfile_unlock(pidfile);
}
END_TEST

START_TEST(the_file_of_a_killed_server_is_taken_over) {
  pid_t child = fork();
  if (child == 0) _exit(tiny_pidfile_lock(conf, why, sizeof why) ? 0 : 1);
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(written_pid(), child);
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_msg(pidfile != NULL, "%s", why);
  ck_assert_int_eq(written_pid(), getpid());
  tiny_pidfile_unlock(pidfile);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named) {
  tiny_conf *lost = tiny_conf_new(
      json_pack("{s:s,s:s}", "svr.name", "one", "svr.run_dir", "/nonexistent/run"), "/x/conf.lua");
  ck_assert_ptr_null(tiny_pidfile_lock(lost, why, sizeof why));
  ck_assert_str_eq(why, "/nonexistent/run/one.pid: No such file or directory");
  tiny_conf_drop(lost);
}
END_TEST

/* Two processes that start and end at full speed never both have the name. */
START_TEST(the_lock_is_never_held_twice) {
  pid_t child = fork();
  int held = 0, status = 0;
  while (held < 200) {
    tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
    if (!pidfile) continue;
    held++;
    int alone = mkdir(in_folder("held"), 0700) == 0 && rmdir(in_folder("held")) == 0;
    tiny_pidfile_unlock(pidfile);
    if (!alone) status = 1;
  }
  if (child == 0) _exit(status);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(the_note_leads_from_conf_lua_to_the_socket) {
  tiny_note note;
  char expected[256];
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_int_eq(tiny_pidfile_note(pidfile, conf, why, sizeof why), 0);
  ck_assert_int_eq(access(in_folder("conf.lua.run"), R_OK), 0);
  ck_assert_int_eq(tiny_note_read(in_folder("conf.lua"), 0, &note), 0);
  ck_assert_int_eq(note.pid, getpid());
  ck_assert_str_eq(note.name, "one");
  snprintf(expected, sizeof expected, "%s/one.sock", folder);
  ck_assert_str_eq(note.socket, expected);
  ck_assert_int_eq(chdir(folder), 0);
  ck_assert_int_eq(tiny_note_read("conf.lua", 0, &note), 0);
  ck_assert_int_eq(tiny_note_read("./conf.lua", 0, &note), 0);
  ck_assert_int_eq(tiny_note_read("other.lua", 0, &note), -1);
  ck_assert_int_eq(chdir("/"), 0);
  tiny_pidfile_unlock(pidfile);
  ck_assert_int_eq(tiny_note_read(in_folder("conf.lua"), 0, &note), -1);
}
END_TEST

/* Not even root can write into /sys. */
START_TEST(a_folder_that_cannot_be_written_has_its_note_in_run_tiny) {
  if (geteuid() != 0) return;
  tiny_note note;
  tiny_conf *fixed = conf_at("/sys/conf.lua");
  tiny_pidfile *pidfile = tiny_pidfile_lock(fixed, why, sizeof why);
  ck_assert_msg(tiny_pidfile_note(pidfile, fixed, why, sizeof why) == 0, "%s", why);
  ck_assert_int_eq(tiny_note_read("/sys/conf.lua", 0, &note), -1);
  ck_assert_int_eq(tiny_note_read("/sys/conf.lua", 1, &note), 0);
  ck_assert_int_eq(note.pid, getpid());
  tiny_pidfile_unlock(pidfile);
  ck_assert_int_eq(tiny_note_read("/sys/conf.lua", 1, &note), -1);
  tiny_conf_drop(fixed);
}
END_TEST

START_TEST(the_note_of_a_later_server_is_left_alone) {
  tiny_note note = {.pid = 1, .name = "later", .socket = "/x.sock"};
  tiny_pidfile *pidfile = tiny_pidfile_lock(conf, why, sizeof why);
  ck_assert_int_eq(tiny_pidfile_note(pidfile, conf, why, sizeof why), 0);
  char *later = tiny_note_write(in_folder("conf.lua"), &note, why, sizeof why);
  ck_assert_str_eq(later, in_folder("conf.lua.run"));
  tiny_pidfile_unlock(pidfile);
  ck_assert_int_eq(tiny_note_read(in_folder("conf.lua"), 0, &note), 0);
  ck_assert_str_eq(note.name, "later");
  ck_assert_int_eq(unlink(later), 0);
  free(later);
}
END_TEST

static int lowest_free_fd(void) {
  int fd = dup(STDIN_FILENO);
  close(fd);
  return fd;
}

START_TEST(a_note_that_finds_no_room_leaves_nothing_behind) {
  tiny_note note = {.pid = 1, .name = "one", .socket = "/x.sock"};
  struct rlimit before, none;
  int fd = lowest_free_fd();
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  none = (struct rlimit){0, before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
  char *written = tiny_note_write(in_folder("conf.lua"), &note, why, sizeof why);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_DFL);
  ck_assert_ptr_null(written);
  ck_assert_msg(strstr(why, "File too large") != NULL, "%s", why);
  ck_assert_int_eq(lowest_free_fd(), fd);
}
END_TEST

static const char *const damaged[] = {"",
                                      "12",
                                      "12\none\n/x.sock\n",
                                      "\n\n\n\n",
                                      "x\none\n/s\n/c",
                                      "12\none\n/x.sock\n/other/conf.lua\n"};

START_TEST(a_damaged_note_is_no_note) {
  tiny_note note;
  FILE *file = fopen(in_folder("conf.lua.run"), "w");
  fputs(damaged[_i], file);
  fclose(file);
  ck_assert_int_eq(tiny_note_read(in_folder("conf.lua"), 0, &note), -1);
  ck_assert_int_eq(unlink(in_folder("conf.lua.run")), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pidfile");
  TCase *lock_case = tcase_create("pidfile and note");
  tcase_add_checked_fixture(lock_case, setup, teardown);
  tcase_add_test(lock_case, the_pid_file_holds_the_pid_and_goes_at_the_end);
  tcase_add_test(lock_case, a_second_server_is_refused_and_told_the_pid);
  tcase_add_test(lock_case, opening_and_closing_the_file_keeps_the_lock);
  tcase_add_test(lock_case, the_file_of_a_killed_server_is_taken_over);
  tcase_add_test(lock_case, a_folder_that_is_not_there_is_named);
  tcase_add_test(lock_case, the_lock_is_never_held_twice);
  tcase_add_test(lock_case, the_note_leads_from_conf_lua_to_the_socket);
  tcase_add_test(lock_case, a_folder_that_cannot_be_written_has_its_note_in_run_tiny);
  tcase_add_test(lock_case, the_note_of_a_later_server_is_left_alone);
  tcase_add_test(lock_case, a_note_that_finds_no_room_leaves_nothing_behind);
  tcase_add_loop_test(lock_case, a_damaged_note_is_no_note, 0, sizeof damaged / sizeof *damaged);
  suite_add_tcase(suite, lock_case);
  return suite_run(suite);
}
