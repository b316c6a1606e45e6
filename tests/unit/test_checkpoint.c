/* SPDX-License-Identifier: MIT
 * test_checkpoint.c -- the two files of a checkpoint: good, damaged, half-written, on a full disk. */
#include "checkpoint.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32], path[96], name[96], why[512];
static char *blob;
static tiny_checkpoint found;

static void setup(void) {
  strcpy(folder, "/tmp/tiny-ckpt-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.ckpt", folder);
  blob = NULL;
  why[0] = 0;
}

static const char *file(const char *extension) {
  snprintf(name, sizeof name, "%s%s", path, extension);
  return name;
}

/* That the folder can be removed shows that nothing else was left in it. */
static void teardown(void) {
  static const char *const left[] = {"", ".1", ".damaged"};
  free(blob);
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) unlink(file(left[i]));
  ck_assert_int_eq(rmdir(folder), 0);
}

static int save(uint64_t sequence, const char *bytes, bool alone) {
  tiny_checkpoint c = {7, sequence, 1700000000, bytes, strlen(bytes)};
  return tiny_checkpoint_write(path, &c, alone, why, sizeof why);
}

static int load(const char *extension) {
  free(blob);
  return tiny_checkpoint_read(file(extension), &blob, &found, why, sizeof why);
}

static void assert_holds(const char *extension, uint64_t sequence, const char *bytes) {
  ck_assert_msg(load(extension) == 0, "%s", why);
  ck_assert_uint_eq(found.token, 7);
  ck_assert_uint_eq(found.sequence, sequence);
  ck_assert_int_eq(found.saved_at, 1700000000);
  ck_assert_uint_eq(found.size, strlen(bytes));
  ck_assert_mem_eq(found.bytes, bytes, found.size);
}

/* Change one byte of the file; from its end when 'at' is negative. */
static void flip(long at) {
  FILE *f = fopen(path, "r+b");
  ck_assert_int_eq(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
  int byte = fgetc(f);
  ck_assert_int_eq(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
  fputc(byte ^ 1, f);
  fclose(f);
}

static void assert_damaged(const char *because) {
  ck_assert_int_eq(load(""), -EBADMSG);
  ck_assert_ptr_null(blob);
  ck_assert_msg(strstr(why, because) && strstr(why, path), "%s", why);
}

START_TEST(what_was_saved_is_read) {
  ck_assert_msg(save(1, "some bytes", false) == 0, "%s", why);
  assert_holds("", 1, "some bytes");
}
END_TEST

START_TEST(nothing_at_all_may_be_saved) {
  ck_assert_int_eq(save(1, "", false), 0);
  assert_holds("", 1, "");
}
END_TEST

START_TEST(the_last_two_are_kept) {
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(load(".1"), -ENOENT);
  ck_assert_int_eq(save(2, "two", false), 0);
  ck_assert_int_eq(save(3, "three", false), 0);
  assert_holds("", 3, "three");
  assert_holds(".1", 2, "two");
}
END_TEST

START_TEST(one_alone_replaces_both) {
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(save(2, "two", false), 0);
  ck_assert_int_eq(save(3, "three", true), 0);
  assert_holds("", 3, "three");
  ck_assert_int_eq(load(".1"), -ENOENT);
}
END_TEST

START_TEST(only_the_owner_may_read_it) {
  struct stat st;
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(stat(path, &st), 0);
  ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(none_is_no_damage) { ck_assert_int_eq(load(""), -ENOENT); }
END_TEST

/* Any single bit, in the head or behind it, is noticed. */
START_TEST(each_changed_byte_is_noticed) {
  for (long at = 0; at < TINY_CHECKPOINT_HEAD + 3; at++) {
    ck_assert_int_eq(save(1, "one", false), 0);
    flip(at);
    ck_assert_int_eq(load(""), -EBADMSG);
  }
}
END_TEST

START_TEST(damage_is_told_with_its_kind) {
  ck_assert_int_eq(save(1, "some bytes", false), 0);
  flip(-1);
  assert_damaged("checksum");
  ck_assert_int_eq(truncate(path, TINY_CHECKPOINT_HEAD + 4), 0);
  assert_damaged("its end is missing");
  ck_assert_int_eq(truncate(path, 5), 0);
  assert_damaged("its end is missing");
  ck_assert_int_eq(truncate(path, 0), 0);
  assert_damaged("its end is missing");
  ck_assert_int_eq(truncate(path, TINY_CHECKPOINT_HEAD), 0);
  assert_damaged("no checkpoint");
}
END_TEST

START_TEST(bytes_behind_its_end_are_damage) {
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(truncate(path, TINY_CHECKPOINT_HEAD + 4), 0);
  assert_damaged("longer");
}
END_TEST

START_TEST(another_version_is_told_as_such) {
  ck_assert_int_eq(save(1, "one", false), 0);
  flip(8);
  assert_damaged("another version");
}
END_TEST

START_TEST(what_is_no_file_cannot_be_read) {
  ck_assert_int_eq(mkdir(path, 0700), 0);
  ck_assert_int_eq(load(""), -EISDIR);
  ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(a_damaged_one_put_aside_does_not_become_the_one_before) {
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(save(2, "two", false), 0);
  flip(-1);
  tiny_checkpoint_put_aside(path);
  ck_assert_int_eq(load(""), -ENOENT);
  ck_assert_int_eq(save(3, "three", false), 0);
  assert_holds(".1", 1, "one");
  ck_assert_int_eq(access(file(".damaged"), F_OK), 0);
}
END_TEST

START_TEST(a_left_over_draft_is_removed) {
  FILE *draft = fopen(file(".tmp"), "w");
  fputs("half", draft);
  fclose(draft);
  tiny_checkpoint_tidy(path);
  ck_assert_int_eq(access(file(".tmp"), F_OK), -1);
}
END_TEST

/* Somebody's link in the place of the draft must not lead the writing elsewhere. */
START_TEST(a_link_in_the_place_of_the_draft_is_not_followed) {
  char target[128];
  snprintf(target, sizeof target, "%s/target", folder);
  ck_assert_int_eq(symlink(target, file(".tmp")), 0);
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(access(target, F_OK), -1);
  assert_holds("", 1, "one");
}
END_TEST

/* The limit of a file's size stops a write in the middle, as a full disk does. */
START_TEST(a_write_that_stops_in_the_middle_leaves_the_last_one) {
  static char large[100000];
  memset(large, 'x', sizeof large - 1);
  struct rlimit before, small = {4096, RLIM_INFINITY};
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(save(1, "one", false), 0);
  ck_assert_int_eq(save(2, "two", false), 0);
  getrlimit(RLIMIT_FSIZE, &before);
  small.rlim_max = before.rlim_max;
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  ck_assert_int_eq(save(3, large, false), -EFBIG);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  ck_assert_msg(strstr(why, path) && strstr(why, strerror(EFBIG)), "%s", why);
  ck_assert_int_eq(access(file(".tmp"), F_OK), -1);
  assert_holds("", 2, "two");
  assert_holds(".1", 1, "one");
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_told) {
  char good[96];
  strcpy(good, path);
  snprintf(path, sizeof path, "%s/none/a.ckpt", folder);
  ck_assert_int_eq(save(1, "one", false), -ENOENT);
  ck_assert_msg(strstr(why, "none/a.ckpt") != NULL, "%s", why);
  strcpy(path, good);
}
END_TEST

START_TEST(a_relative_path_is_fine) {
  char here[256];
  ck_assert_ptr_nonnull(getcwd(here, sizeof here));
  ck_assert_int_eq(chdir(folder), 0);
  tiny_checkpoint c = {7, 4, 1700000000, "one", 3};
  ck_assert_int_eq(tiny_checkpoint_write("a.ckpt", &c, false, why, sizeof why), 0);
  ck_assert_int_eq(chdir(here), 0);
  assert_holds("", 4, "one");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("checkpoint");
  TCase *files = tcase_create("files");
  tcase_add_checked_fixture(files, setup, teardown);
  tcase_set_timeout(files, 60);
  const TTest *const tests[] = {
      what_was_saved_is_read,
      nothing_at_all_may_be_saved,
      the_last_two_are_kept,
      one_alone_replaces_both,
      only_the_owner_may_read_it,
      none_is_no_damage,
      each_changed_byte_is_noticed,
      damage_is_told_with_its_kind,
      bytes_behind_its_end_are_damage,
      another_version_is_told_as_such,
      what_is_no_file_cannot_be_read,
      a_damaged_one_put_aside_does_not_become_the_one_before,
      a_left_over_draft_is_removed,
      a_link_in_the_place_of_the_draft_is_not_followed,
      a_write_that_stops_in_the_middle_leaves_the_last_one,
      a_folder_that_is_not_there_is_told,
      a_relative_path_is_fine,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(files, tests[i]);
  suite_add_tcase(suite, files);
  return suite_run(suite);
}
