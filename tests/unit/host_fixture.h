/* SPDX-License-Identifier: MIT
 * host_fixture.h -- a program around runtimes: a folder with a conf.lua and a script, a loop of its
 * own, and notes of what it was told. */
#ifndef HOST_FIXTURE_H
#define HOST_FIXTURE_H

#include "tiny.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct host_outcome {
  bool told, done;
  char text[512];
} host_outcome;

static struct {
  char folder[64], conf[96];
  char logged[4096]; /* "LEVEL FILE:LINE TEXT\n" of each line; the logs' threads write it */
  host_outcome outcome;
  pthread_t thread; /* the loop's */
  int counted, counted_elsewhere;
  int stderr_fd, quiet_fd; /* while nothing may be printed */

  /* For the options. */
  tiny_library libraries[2];
  void *data;
  tiny_level level;
  bool control;
  void (*forced)(void *data, int code);
} host;

static void host_write(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", host.folder, name);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

static void host_setup(void) {
  memset(&host, 0, sizeof host);
  snprintf(host.folder, sizeof host.folder, "/tmp/tiny-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(host.folder));
  snprintf(host.conf, sizeof host.conf, "%s/conf.lua", host.folder);
  host_write("conf.lua",
             "return {['svr.name'] = 'host', ['svr.script'] = 'server.lua',\n"
             "  ['svr.monitor'] = false, ['svr.log_conf_on_reload'] = false,\n"
             "  ['svr.close.wait_lock_delay'] = 0.1, ['svr.close.force_close_delay'] = 0.4,\n"
             "  ['svr.timer.run_status_check_time_span'] = 0}");
}

static int host_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void host_teardown(void) { nftw(host.folder, host_remove, 8, FTW_DEPTH | FTW_PHYS); }

/* How many files there are in the folder. */
static int host_files(void) {
  DIR *dir = opendir(host.folder);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

static void host_log(void *data, const tiny_logged *line) {
  (void)data;
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* each runtime has its log's thread */
  pthread_mutex_lock(&lock);
  size_t at = strlen(host.logged);
  snprintf(host.logged + at, sizeof host.logged - at, "%d %s:%u %.*s\n", (int)line->level,
           line->file, line->line, (int)line->text_size, line->text);
  pthread_mutex_unlock(&lock);
}

/* Write a script in which 'tiny' and S, the class, are there already. */
static void host_script(const char *body) {
  char text[4096];
  snprintf(text, sizeof text,
           "local tiny = require 'tiny' local S = tiny.Server:extend()\n%s\nreturn S", body);
  host_write("server.lua", text);
}

static tiny *host_new(const char *body) {
  char why[512];
  tiny_options options = {
      .conf = host.conf,
      .libraries = host.libraries,
      .data = host.data,
      .log = host_log,
      .log_level = host.level,
      .control = host.control,
      .forced = host.forced,
  };
  host_script(body);
  host.thread = pthread_self();
  tiny *rt = tiny_new(&options, why, sizeof why);
  ck_assert_msg(rt != NULL, "%s", why);
  return rt;
}

/* One turn of the program's own loop. Returns what tiny_step() did. */
static int host_turn(tiny *rt) {
  struct pollfd fd = {.fd = tiny_fd(rt), .events = POLLIN};
  poll(&fd, 1, tiny_timeout(rt));
  return tiny_step(rt);
}

static int host_drive(tiny *rt) {
  while (host_turn(rt) > 0) continue;
  return tiny_exit_code(rt);
}

static int host_nothing(struct lua_State *L) {
  (void)L;
  return 0;
}

static void host_until_serving(tiny *rt) {
  int rc;
  ck_assert_int_eq(tiny_step(rt), 1);
  while ((rc = tiny_call(rt, host_nothing, NULL, NULL, 0)) == -EAGAIN)
    ck_assert_int_eq(host_turn(rt), 1);
  ck_assert_int_eq(rc, 0);
}

static void host_until(tiny *rt, const bool *told) {
  while (!*told) ck_assert_int_eq(host_turn(rt), 1);
}

/* Close, drive and free. */
static void host_close(tiny *rt) {
  ck_assert_int_eq(tiny_close(rt, 0, 0, NULL, NULL), 0);
  ck_assert_int_eq(host_drive(rt), 0);
  ck_assert_int_eq(tiny_free(rt), 0);
}

static void host_on_done(void *data, bool done, const char *text) {
  host_outcome *outcome = data;
  ck_assert(!outcome->told);
  outcome->told = true;
  outcome->done = done;
  snprintf(outcome->text, sizeof outcome->text, "%s", text);
}

static void host_count(tiny *rt, void *data) {
  (void)rt, (void)data;
  host.counted++;
  host.counted_elsewhere += !pthread_equal(host.thread, pthread_self());
}

/* Send stderr and stdout to a file, or back; then returns how many bytes came. */
static int host_quiet(bool begin) {
  struct stat st;
  if (begin) {
    char path[] = "/tmp/tiny-quiet-XXXXXX";
    host.quiet_fd = mkstemp(path);
    unlink(path);
    host.stderr_fd = dup(STDERR_FILENO);
    return dup2(host.quiet_fd, STDERR_FILENO);
  }
  fstat(host.quiet_fd, &st);
  dup2(host.stderr_fd, STDERR_FILENO);
  close(host.stderr_fd);
  close(host.quiet_fd);
  return (int)st.st_size;
}

#endif
