/* SPDX-License-Identifier: MIT
 * test_watch.c -- files that change, files that do not, and files that cannot be watched. */
#include "suite.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uv_loop_t loop;
static tiny_watch *watch;
static int changes;
static char folder[32], paths[2][64];
static const char *const files[] = {paths[0], paths[1]};

static void on_changed(void *data) {
  ck_assert_ptr_eq(data, &loop);
  changes++;
}

static void write_file(const char *path) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs("text", file);
  fclose(file);
}

static void setup(void) {
  strcpy(folder, "/tmp/tiny-watch-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  for (int i = 0; i < 2; i++) {
    snprintf(paths[i], sizeof paths[i], "%s/%d.lua", folder, i);
    write_file(paths[i]);
  }
  changes = 0;
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  watch = tiny_watch_open(&loop, on_changed, &loop);
  ck_assert_ptr_nonnull(watch);
}

/* Every test ends by proving that nothing is left open. */
static void teardown(void) {
  tiny_watch_close(watch);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  for (int i = 0; i < 2; i++) unlink(paths[i]);
  ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(a_burst_of_changes_is_told_once) {
  ck_assert_uint_eq(tiny_watch_files(watch, files, 2), 0);
  for (int i = 0; i < 20; i++) write_file(paths[i % 2]);
  while (changes == 0) uv_run(&loop, UV_RUN_ONCE);
  ck_assert_int_eq(changes, 1);
}
END_TEST

START_TEST(a_new_file_in_the_place_of_the_old_is_a_change_and_its_neighbour_is_none) {
  char fresh[64];
  snprintf(fresh, sizeof fresh, "%s/fresh", folder);
  ck_assert_uint_eq(tiny_watch_files(watch, files, 1), 0);
  write_file(paths[1]);
  write_file(fresh);
  uv_run(&loop, UV_RUN_ONCE);
  ck_assert_int_eq(uv_backend_timeout(&loop), -1); /* nothing is about to be told */
  ck_assert_int_eq(rename(fresh, paths[0]), 0);
  while (changes == 0) uv_run(&loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(all_that_cannot_be_watched_are_counted) {
  const char *const lost[] = {paths[0], "/nonexistent/x.lua", paths[1]};
  struct rlimit before, none;
  int fd = dup(STDIN_FILENO); /* the lowest that is free */
  close(fd);
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = (struct rlimit){(rlim_t)fd, before.rlim_max};
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
  unsigned failed = tiny_watch_files(watch, files, 2);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  ck_assert_uint_eq(failed, 2);
  ck_assert_uint_eq(tiny_watch_files(watch, files, 2), 0);
  ck_assert_uint_eq(tiny_watch_files(watch, lost, 3), 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch");
  TCase *tests = tcase_create("watch");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, a_burst_of_changes_is_told_once);
  tcase_add_test(tests, a_new_file_in_the_place_of_the_old_is_a_change_and_its_neighbour_is_none);
  tcase_add_test(tests, all_that_cannot_be_watched_are_counted);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
