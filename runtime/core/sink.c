/* SPDX-License-Identifier: MIT
 * sink.c -- buffering, and what happens when a place does not take its lines. */
#include "sink.h"
#include "log_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS           1000000ull
#define WRITE_AT     (64u * 1024)  /* bytes that are worth a write */
#define WAITING_MOST (512u * 1024) /* bytes that may wait for a place in trouble */
#define PAUSE_SLOW   (1 * MS)      /* until the first next try: it takes no more just now */
#define PAUSE_ERROR  (100 * MS)    /* the same after an error */
#define PAUSE_MOST   (2000 * MS)
#define PATIENCE     (1000 * MS) /* nothing taken for so long is trouble */

static uint64_t now_ns(void) { return tiny_clock_ns(CLOCK_MONOTONIC); }

/* ---- trouble ---- */

static void tell_down(tiny_sink *sink, int error) {
  const char *why = error == EAGAIN ? "it takes no more" : strerror(error);
  const char *then = error == ECANCELED ? "" : "; trying again";
  if (error == ECANCELED) why = "it is closed";
  sink->down = true;
  tiny_log_own(sink->log, sink, TINY_ERROR, "log.%s does not work: %s%s", tiny_sink_name(sink->id),
               why, then);
}

static void tell_up(tiny_sink *sink, uint64_t now) {
  double seconds = (double)(now - sink->trouble_ns) / 1e9;
  sink->down = false;
  tiny_log_own(sink->log, NULL, TINY_WARN, "log.%s works again after %.1f s, %llu lines were lost",
               tiny_sink_name(sink->id), seconds, (unsigned long long)sink->lost);
  sink->lost = 0;
}

static void failed(tiny_sink *sink, int error, uint64_t now) {
  bool slow = error == EAGAIN;
  if (!sink->trouble_ns) {
    sink->trouble_ns = now;
    sink->pause_ns = slow ? PAUSE_SLOW : PAUSE_ERROR;
  }
  sink->next_try_ns = error == ECANCELED ? UINT64_MAX : now + sink->pause_ns;
  sink->pause_ns = sink->pause_ns * 2 < PAUSE_MOST ? sink->pause_ns * 2 : PAUSE_MOST;
  if (sink->down) return;
  if (!slow || sink->lost || now - sink->trouble_ns >= PATIENCE) tell_down(sink, error);
}

/* A place that was in trouble is well when all that waited for it is gone. */
static void worked(tiny_sink *sink, uint64_t now) {
  sink->next_try_ns = 0;
  sink->pause_ns = PAUSE_SLOW;
  if (sink->down && sink->begin < sink->end) return;
  if (sink->down) tell_up(sink, now);
  sink->trouble_ns = 0;
}

/* ---- the buffer ---- */

static size_t waiting(const tiny_sink *sink) { return sink->end - sink->begin; }

static void taken(tiny_sink *sink, size_t size) {
  sink->begin += size;
  if (sink->begin < sink->end) return;
  sink->begin = sink->end = 0;
  if (sink->room <= 4 * WRITE_AT) return;
  free(sink->bytes); /* it grew for one long line */
  sink->bytes = NULL;
  sink->room = 0;
}

static void move_to_front(tiny_sink *sink) {
  if (sink->begin > 0) memmove(sink->bytes, sink->bytes + sink->begin, waiting(sink));
  sink->end = waiting(sink);
  sink->begin = 0;
}

/* Room for 'size' bytes more behind the end. */
static bool make_room(tiny_sink *sink, size_t size) {
  if (sink->end + size <= sink->room) return true;
  move_to_front(sink);
  if (sink->end + size <= sink->room) return true;
  size_t room = sink->room ? sink->room : 2 * WRITE_AT;
  while (room < sink->end + size) room *= 2;
  char *bytes = realloc(sink->bytes, room);
  if (!bytes) return false;
  sink->bytes = bytes;
  sink->room = room;
  return true;
}

static void lose(tiny_sink *sink) {
  sink->lost++;
  if (!sink->down) failed(sink, EAGAIN, now_ns());
}

char *tiny_sink_write(tiny_sink *sink, tiny_clock *clock, const tiny_line *line, char *at,
                      char *end) {
  if (sink->type->line) {
    at = sink->type->line(sink, clock, line, at, end - 1);
  } else {
    at = tiny_format_write(sink->format, clock, line, at, end - 1);
  }
  *at++ = sink->type->mark;
  return at;
}

static void append(tiny_sink *sink, tiny_clock *clock, const tiny_line *line) {
  size_t most = tiny_format_most(sink->format, line) + 129;
  if (waiting(sink) > WRITE_AT) tiny_sink_flush(sink, now_ns());
  if (sink->type->before) sink->type->before(sink, line);
  if (waiting(sink) > WAITING_MOST || !make_room(sink, most)) {
    lose(sink);
    return;
  }
  char *at = sink->bytes + sink->end;
  sink->end = (size_t)(tiny_sink_write(sink, clock, line, at, at + most) - sink->bytes);
}

void tiny_sink_line(tiny_sink *sink, tiny_clock *clock, const tiny_line *line) {
  (sink->type->take ? sink->type->take : append)(sink, clock, line);
}

/* ---- writing ---- */

/* Unless it is closed for good. */
static void try_soon(tiny_sink *sink) {
  if (sink->next_try_ns != UINT64_MAX) sink->next_try_ns = 0;
}

static int open_when_shut(tiny_sink *sink) { return sink->fd >= 0 ? 0 : sink->type->open(sink); }

void tiny_sink_flush(tiny_sink *sink, uint64_t now) {
  if (sink->type->tend) sink->type->tend(sink);
  if (waiting(sink) == 0 || now < sink->next_try_ns) return;
  int error = open_when_shut(sink);
  while (error == 0 && waiting(sink) > 0) {
    ssize_t n = sink->type->write(sink, sink->bytes + sink->begin, waiting(sink));
    if (n < 0) {
      error = (int)n;
    } else {
      taken(sink, (size_t)n);
      worked(sink, now);
    }
  }
  if (error) failed(sink, -error, now);
}

/* Without waiting for the time of the next try. */
static void flush_now(tiny_sink *sink) {
  try_soon(sink);
  tiny_sink_flush(sink, now_ns());
}

uint64_t tiny_sink_due(const tiny_sink *sink) {
  return waiting(sink) > 0 ? sink->next_try_ns : UINT64_MAX;
}

void tiny_sink_hurry(tiny_sink *sink, uint64_t by_ns) {
  if (sink->type->hurry) sink->type->hurry(sink, by_ns);
  sink->pause_ns = PAUSE_SLOW;
  flush_now(sink);
}

bool tiny_sink_busy(const tiny_sink *sink) {
  if (sink->type->busy) return sink->type->busy((tiny_sink *)sink);
  return waiting(sink) > 0 && sink->next_try_ns != UINT64_MAX;
}

/* ---- life ---- */

void tiny_sink_settle(tiny_sink *sink, const tiny_log_settings *settings) {
  bool was_on = sink->on;
  if (was_on) flush_now(sink);
  sink->on = settings->sinks[sink->id].on;
  sink->level = settings->sinks[sink->id].level;
  sink->format = settings->sinks[sink->id].format;
  sink->type->settle(sink, settings);
  try_soon(sink); /* they may be the cure */
  if (sink->on || !was_on) return;
  tiny_sink_shut(sink);
  sink->begin = sink->end = 0;
  sink->trouble_ns = sink->next_try_ns = sink->lost = 0;
  sink->down = false;
}

int tiny_sink_take(tiny_sink *sink, int fd) {
  int error = fd < 0 ? -errno : 0;
  sink->fd = fd;
  if (fd < 0 || fd > STDERR_FILENO) return error;
  sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  error = sink->fd < 0 ? -errno : 0;
  close(fd);
  return error;
}

void tiny_sink_shut(tiny_sink *sink) {
  if (sink->fd >= 0) close(sink->fd);
  sink->fd = -1;
}

void tiny_sink_reopen(tiny_sink *sink) {
  flush_now(sink);
  tiny_sink_shut(sink);
  sink->next_try_ns = 0;
}

void tiny_sink_fini(tiny_sink *sink) {
  tiny_sink_shut(sink);
  if (sink->type->fini) {
    sink->type->fini(sink);
  } else {
    free(sink->own);
  }
  free(sink->bytes);
}
