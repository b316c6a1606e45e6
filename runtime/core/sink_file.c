/* SPDX-License-Identifier: MIT
 * sink_file.c -- lines appended to a file, which is opened again on request and
 * set aside when its minute, hour or day is over or it has grown to a size. */
#include "log_thread.h"
#include "rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNKNOWN INT64_MIN

typedef struct file {
  char *path;
  int64_t minutes;    /* of a period; 0: not rotated by time */
  uint64_t size_most; /* 0: not rotated by size */
  int keep;
  bool regular;   /* devices and pipes are never rotated */
  uint64_t size;  /* of the open file */
  int64_t period; /* that its lines belong to, or UNKNOWN */
  bool stuck;     /* it could not be rotated, and that was told */
} file;

/* ---- settings ---- */

static void parse_rotation(file *f, const tiny_conf *conf) {
  const json_t *rotate = tiny_conf_json(conf, "log.file_log.rotate");
  const char *unit = json_string_value(rotate);
  f->minutes = !unit ? 0 : *unit == 'M' ? 1 : *unit == 'H' ? 60 : 24 * 60;
  f->size_most = (uint64_t)json_number_value(json_object_get(rotate, "size"));
  f->keep = (int)tiny_conf_number(conf, "log.file_log.keep");
}

/* A reload opens the file again, whatever it changes. */
static void settle(tiny_sink *sink, const tiny_log_settings *settings) {
  file *f = sink->own ? sink->own : calloc(1, sizeof *f);
  char *path = sink->on ? tiny_conf_path(settings->conf, "log.file_log") : NULL;
  sink->own = f;
  if (!f || !path) sink->on = false;
  tiny_sink_shut(sink);
  if (!sink->on) {
    free(path);
    return;
  }
  free(f->path);
  f->path = path;
  f->period = UNKNOWN;
  parse_rotation(f, settings->conf);
}

static int check_folder(char *path, char *why, size_t why_size) {
  char *slash = strrchr(path, '/');
  const char *folder = slash == path ? "/" : path;
  *slash = 0;
  if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0) return 0;
  snprintf(why, why_size, "log.file_log: folder \"%s\": %s", folder, strerror(errno));
  return -1;
}

static int check_path(char *path, char *why, size_t why_size) {
  struct stat st;
  bool there = stat(path, &st) == 0;
  if (!there && errno == ENOENT) return check_folder(path, why, why_size);
  if (there && S_ISDIR(st.st_mode))
    errno = EISDIR;
  else if (there && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
    return 0;
  snprintf(why, why_size, "log.file_log: \"%s\": %s", path, strerror(errno));
  return -1;
}

int tiny_sink_file_check(const tiny_conf *conf, char *why, size_t why_size) {
  char *path = tiny_conf_path(conf, "log.file_log");
  int result = path ? check_path(path, why, why_size) : -1;
  if (!path) snprintf(why, why_size, "log.file_log: out of memory");
  free(path);
  return result;
}

/* ---- the file ---- */

static int open_file(tiny_sink *sink) {
  file *f = sink->own;
  struct stat st;
  /* O_NONBLOCK: a pipe without a reader must not hold us. */
  int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int error = tiny_sink_take(sink, open(f->path, flags, 0666));
  if (error) return error;
  if (fstat(sink->fd, &st) != 0) return -errno;
  f->regular = S_ISREG(st.st_mode);
  f->size = (uint64_t)st.st_size;
  f->period = UNKNOWN;
  return 0;
}

static int64_t period_of(const file *f, const tiny_clock *clock) {
  int64_t minute = tiny_clock_minute(clock);
  return minute / f->minutes - (minute % f->minutes < 0);
}

/* The period of a file that is there already is that of its last change. */
static int64_t period_on_disk(const tiny_sink *sink, int64_t now) {
  const file *f = sink->own;
  struct stat st;
  tiny_clock clock = sink->log->clock;
  if (stat(f->path, &st) != 0 || st.st_size == 0 || !S_ISREG(st.st_mode)) return now;
  tiny_clock_set(&clock, st.st_mtime);
  return period_of(f, &clock);
}

static void tell_stuck(tiny_sink *sink, int error) {
  file *f = sink->own;
  if (error && !f->stuck) {
    tiny_log_own(sink->log, sink, TINY_ERROR, "log.file_log: \"%s\" cannot be rotated: %s", f->path,
                 strerror(error));
  }
  f->stuck = error != 0;
}

/* Forward only: threads put lines a little out of order, and a repeated hour is one period. */
static void before(tiny_sink *sink, const tiny_line *line) {
  file *f = sink->own;
  tiny_clock *clock = &sink->log->clock;
  if (!f->minutes) return;
  tiny_clock_set(clock, (int64_t)(line->time_ns / 1000000000));
  int64_t now = period_of(f, clock);
  if (f->period == UNKNOWN) f->period = period_on_disk(sink, now);
  if (now < f->period - 24 * 60 / f->minutes) f->period = now; /* the clock was set back by days */
  if (now <= f->period) return;
  tiny_sink_reopen(sink);
  tell_stuck(sink, tiny_rotate_by_time(f->path, f->period * f->minutes, f->minutes, f->keep));
  f->period = now;
}

/* Whole lines that still fit, or at least one. */
static size_t that_fit(const file *f, const char *bytes, size_t size) {
  uint64_t room = f->size < f->size_most ? f->size_most - f->size : 0;
  if (size <= room) return size;
  const char *last = room ? memrchr(bytes, '\n', room) : NULL;
  if (!last && f->size == 0) last = memchr(bytes, '\n', size);
  return last ? (size_t)(last - bytes) + 1 : 0;
}

static int start_anew(tiny_sink *sink) {
  file *f = sink->own;
  tiny_sink_shut(sink);
  tell_stuck(sink, tiny_rotate_by_size(f->path, f->keep));
  int error = open_file(sink);
  if (f->stuck) f->size = 0; /* try again after as many bytes */
  return error;
}

static ssize_t put(tiny_sink *sink, const char *bytes, size_t size) {
  file *f = sink->own;
  if (f->size_most && f->regular && !atomic_load(&sink->log->crashed)) {
    size_t fit = that_fit(f, bytes, size);
    int error = fit == 0 ? start_anew(sink) : 0;
    if (error) return error;
    size = fit ? fit : that_fit(f, bytes, size);
  }
  ssize_t n = write(sink->fd, bytes, size);
  if (n < 0) return -errno;
  f->size += (uint64_t)n;
  return n;
}

static void fini(tiny_sink *sink) {
  file *f = sink->own;
  if (f) free(f->path);
  free(f);
}

const tiny_sink_type tiny_sink_file = {.mark = '\n',
                                       .settle = settle,
                                       .open = open_file,
                                       .before = before,
                                       .write = put,
                                       .fini = fini};
