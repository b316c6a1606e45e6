/* SPDX-License-Identifier: MIT
 * log_fixture.h -- for the tests of the log: one whose console is a pipe, with a folder for files. */
#ifndef TINY_LOG_FIXTURE_H
#define TINY_LOG_FIXTURE_H

#include "log.h"
#include "suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static tiny_log *lines;
static int console; /* the reading end */
static char folder[64], got[1 << 20], why[300];
static int true_stderr;

/* stderr is a pipe from here on; until close_console() only the log's own lines are seen there. */
static inline void open_console(void) {
  int ends[2];
  ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
  fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  true_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  console = ends[0];
}

static inline void close_console(void) {
  dup2(true_stderr, STDERR_FILENO);
  close(true_stderr);
  close(console);
}

static inline void make_folder(void) {
  strcpy(folder, "/tmp/tiny_log_XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void open_log(void) {
  make_folder();
  open_console();
  lines = tiny_log_open();
  ck_assert_ptr_nonnull(lines);
}

static inline const char *in_folder(const char *name) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static inline void remove_folder(void) {
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    unlinkat(dirfd(dir), entry->d_name, 0);
    unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
  }
  if (dir) closedir(dir);
  rmdir(folder);
}

static inline void close_log(void) {
  tiny_log_close(lines, 5000);
  close_console();
  remove_folder();
}

static inline void set_default(json_t *keys, const char *key, json_t *value) {
  if (json_object_get(keys, key))
    json_decref(value);
  else
    json_object_set_new(keys, key, value);
}

/* Put 'keys' in force, over: the console with "LEVEL message", no limit on repeats. */
static inline void configure(json_t *keys) {
  set_default(keys, "svr.name", json_string("srv"));
  set_default(keys, "log.console", json_true());
  set_default(keys, "log.console.format", json_string("%(levelname)s %(message)s"));
  set_default(keys, "log.file_log.format", json_string("%(message)s"));
  set_default(keys, "log.syslog.format", json_string("%(message)s"));
  tiny_conf *conf = tiny_conf_new(keys, in_folder("conf.lua"));
  int result = tiny_log_configure(lines, conf, why, sizeof why);
  tiny_conf_drop(conf);
  ck_assert_msg(result == 0, "%s", why);
}

static inline void put(tiny_level level, const char *text) {
  tiny_log_put(lines, level, NULL, text, strlen(text), NULL);
}

/* All that has come out on the console by now. */
static inline const char *output(void) {
  ck_assert_int_eq(tiny_log_flush(lines, 5000), 0);
  ssize_t n = read(console, got, sizeof got - 1);
  got[n > 0 ? n : 0] = 0;
  return got;
}

/* A file of the folder; NULL when there is none. */
static inline const char *content(const char *name) {
  int fd = open(in_folder(name), O_RDONLY);
  if (fd < 0) return NULL;
  ssize_t n = read(fd, got, sizeof got - 1);
  close(fd);
  got[n > 0 ? n : 0] = 0;
  return got;
}

static inline void nap_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* Until the console has said 'text'; fails after 20 s. */
static inline void await_console(const char *text) {
  static char all[1 << 20];
  size_t size = 0;
  for (int i = 0; i < 2000; i++) {
    ssize_t n = read(console, all + size, sizeof all - size - 1);
    if (n > 0) size += (size_t)n;
    all[size] = 0;
    if (strstr(all, text)) return;
    nap_ms(10);
  }
  ck_abort_msg("the console never said \"%s\" but \"%s\"", text, all);
}

/* 'tests' ends with NULL. */
static inline int run_suites(const char *name, TCase **tests) {
  Suite *suite = suite_create(name);
  for (; *tests; tests++) suite_add_tcase(suite, *tests);
  return suite_run(suite);
}

static inline int run_suite(const char *name, TCase *tests) {
  return run_suites(name, (TCase *[]){tests, NULL});
}

#endif
