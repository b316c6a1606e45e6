/* SPDX-License-Identifier: MIT
 * sink.h -- what all places that lines go to have in common: lines wait in a bounded
 * buffer, a place that does not take them is said once elsewhere and tried again.
 * Log thread only. */
#ifndef TINY_SINK_H
#define TINY_SINK_H

#include "log_settings.h"
#include <sys/types.h>

typedef struct tiny_sink tiny_sink;

/* Functions that a sink may do without are marked with what is done instead. */
typedef struct tiny_sink_type {
  char mark; /* ends each line in the buffer */

  /* Take over new settings; close what they change. */
  void (*settle)(tiny_sink *sink, const tiny_log_settings *settings);

  /* Set sink->fd. Returns 0, or a negative errno to try again later; ECANCELED: never again. */
  int (*open)(tiny_sink *sink);

  /* Hand over some of 'bytes', which are whole lines but for the first. Returns
   * how many were taken, or a negative errno. Also called in a signal handler, at the end. */
  ssize_t (*write)(tiny_sink *sink, const char *bytes, size_t size);

  /* A line is about to be written or buffered. NULL: nothing to do. */
  void (*before)(tiny_sink *sink, const tiny_line *line);

  /* Write a line at 'at' as tiny_format_write() does, with up to 128 bytes more. NULL: as that does. */
  char *(*line)(tiny_sink *sink, tiny_clock *clock, const tiny_line *line, char *at, char *end);

  /* Where lines are not buffered but collected elsewhere: take each; look after them now and
   * then; hand them over now, until 'by_ns' of CLOCK_MONOTONIC; whether that is still going on.
   * All NULL: buffered. */
  void (*take)(tiny_sink *sink, tiny_clock *clock, const tiny_line *line);
  void (*tend)(tiny_sink *sink);
  void (*hurry)(tiny_sink *sink, uint64_t by_ns);
  bool (*busy)(tiny_sink *sink);

  /* Free sink->own; it may be NULL. NULL: free() does. */
  void (*fini)(tiny_sink *sink);
} tiny_sink_type;

struct tiny_sink {
  const tiny_sink_type *type;
  tiny_sink_id id;
  tiny_log *log; /* where its troubles are told */
  void *own;     /* the type's */
  int fd;        /* -1: not open */

  bool on;
  tiny_level level;
  const tiny_format *format;

  char *bytes; /* lines wait in bytes[begin..end) */
  size_t begin, end, room;
  uint64_t lost; /* lines that found it full since the trouble began */

  bool down;            /* in trouble, and that was told */
  uint64_t trouble_ns;  /* when it began, CLOCK_MONOTONIC; 0: none */
  uint64_t next_try_ns; /* 0: at once, UINT64_MAX: never */
  uint64_t pause_ns;    /* until the try after the next */
};

extern const tiny_sink_type tiny_sink_console, tiny_sink_syslog, tiny_sink_file, tiny_sink_email,
    tiny_sink_host;

/* Whether a sink that 'conf' turns on could work, by the look of it. Return 0, or -1 with
 * the reason in 'why'. Any thread. */
int tiny_sink_file_check(const tiny_conf *conf, char *why, size_t why_size);
int tiny_sink_syslog_check(const tiny_conf *conf, char *why, size_t why_size);

/* Put settings in force; they live until the next call. */
void tiny_sink_settle(tiny_sink *sink, const tiny_log_settings *settings);

/* Whether a line of this level goes here. */
static inline bool tiny_sink_takes(const tiny_sink *sink, tiny_level level) {
  return sink->on && level >= sink->level;
}

/* Append a line to the buffer. One that finds it full is counted. */
void tiny_sink_line(tiny_sink *sink, tiny_clock *clock, const tiny_line *line);

/* Write a line and its mark as they go into the buffer, which is not looked at; never to 'end'.
 * Returns where it stopped. May be called in a signal handler when the clock is frozen. */
char *tiny_sink_write(tiny_sink *sink, tiny_clock *clock, const tiny_line *line, char *at,
                      char *end);

/* Hand over what waits, as far as it is taken and due for a try at 'now_ns'. */
void tiny_sink_flush(tiny_sink *sink, uint64_t now_ns);

/* When tiny_sink_flush() has something to do, CLOCK_MONOTONIC; UINT64_MAX: when lines come. */
uint64_t tiny_sink_due(const tiny_sink *sink);

/* The end is near: hand over what waits, until 'by_ns'. Does not wait itself: flush goes on
 * with it, and busy says whether there is still something to hand over. */
void tiny_sink_hurry(tiny_sink *sink, uint64_t by_ns);
bool tiny_sink_busy(const tiny_sink *sink);

/* For a type's open: make 'fd' (what open() or socket() returned) the sink's, off the numbers of
 * the standard streams, which others write to. Returns 0 or a negative errno. */
int tiny_sink_take(tiny_sink *sink, int fd);

/* Close the file descriptor; what waits stays. */
void tiny_sink_shut(tiny_sink *sink);

/* Hand over what can be, then shut: it is opened again, at once, for what comes next. */
void tiny_sink_reopen(tiny_sink *sink);

/* Free all it holds. */
void tiny_sink_fini(tiny_sink *sink);

#endif
