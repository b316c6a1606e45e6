/* SPDX-License-Identifier: MIT
 * sink.c -- buffering, and what happens when a place does not take its lines. */
#include "sink.h"
#include "log_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS           1000000ull
#define WRITE_AT     (64u * 1024)  /* bytes that are worth a write */
#define WAITING_MOST (512u * 1024) /* bytes that may wait for a place in trouble */
#define PAUSE_FIRST  (1 * MS)
#define PAUSE_ERROR  (100 * MS)
#define PAUSE_MOST   (5000 * MS)
#define PATIENCE     (1000 * MS) /* a place that only does not take more is slow until then */

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- trouble ---- */

static void tell_down(tiny_sink *sink, int error) {
  sink->down = true;
  tiny_log_own(sink->log, sink, TINY_ERROR, "log.%s does not work: %s; trying again",
               tiny_sink_name(sink->id), error == EAGAIN ? "it takes no more" : strerror(error));
}

static void tell_up(tiny_sink *sink, uint64_t now) {
  double seconds = (double)(now - sink->trouble_ns) / 1e9;
  sink->down = false;
  tiny_log_own(sink->log, NULL, TINY_WARN, "log.%s works again after %.1f s; %llu lines were lost",
               tiny_sink_name(sink->id), seconds, (unsigned long long)sink->lost);
  sink->lost = 0;
}

static void failed(tiny_sink *sink, int error, uint64_t now) {
  bool slow = error == EAGAIN;
  if (!sink->trouble_ns) {
    sink->trouble_ns = now;
    sink->pause_ns = slow ? PAUSE_FIRST : PAUSE_ERROR;
  }
  sink->next_try_ns = error == ECANCELED ? UINT64_MAX : now + sink->pause_ns;
  sink->pause_ns = sink->pause_ns * 2 < PAUSE_MOST ? sink->pause_ns * 2 : PAUSE_MOST;
  if (!sink->down && (!slow || sink->lost || now - sink->trouble_ns >= PATIENCE)) {
    tell_down(sink, error);
  }
}

/* It took something: after a pause only, it may be a trickle, so all must be gone to be well. */
static void worked(tiny_sink *sink, uint64_t now) {
  sink->next_try_ns = 0;
  sink->pause_ns = PAUSE_FIRST;
  if (sink->begin < sink->end) return;
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

/* Room for 'size' bytes more behind the end. */
static bool make_room(tiny_sink *sink, size_t size) {
  if (sink->end + size <= sink->room) return true;
  if (sink->begin > 0) memmove(sink->bytes, sink->bytes + sink->begin, waiting(sink));
  sink->end = waiting(sink);
  sink->begin = 0;
  if (sink->end + size <= sink->room) return true;
  size_t room = sink->room ? sink->room : 2 * WRITE_AT;
  while (room < sink->end + size) room *= 2;
  char *bytes = realloc(sink->bytes, room);
  if (!bytes) return false;
  sink->bytes = bytes;
  sink->room = room;
  return true;
}

void tiny_sink_line(tiny_sink *sink, tiny_clock *clock, const tiny_line *line) {
  size_t most = tiny_format_most(sink->format, line) + 128;
  if (waiting(sink) > WRITE_AT) tiny_sink_flush(sink, now_ns());
  if (waiting(sink) > WAITING_MOST || !make_room(sink, most)) {
    if (!sink->lost++ && !sink->down) failed(sink, EAGAIN, now_ns());
    return;
  }
  char *at = sink->bytes + sink->end, *end = at + most - 1;
  if (sink->type->line) {
    at = sink->type->line(sink, clock, line, at, end);
  } else {
    at = tiny_format_write(sink->format, clock, line, at, end);
  }
  *at++ = sink->type->mark;
  sink->end = (size_t)(at - sink->bytes);
}

/* ---- writing ---- */

static int open_when_shut(tiny_sink *sink) { return sink->fd >= 0 ? 0 : sink->type->open(sink); }

void tiny_sink_flush(tiny_sink *sink, uint64_t now) {
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

uint64_t tiny_sink_due(const tiny_sink *sink) {
  return waiting(sink) > 0 ? sink->next_try_ns : UINT64_MAX;
}

/* ---- life ---- */

void tiny_sink_settle(tiny_sink *sink, const tiny_log_settings *settings) {
  sink->next_try_ns = 0;
  if (sink->on) tiny_sink_flush(sink, now_ns());
  sink->on = settings->sinks[sink->id].on;
  sink->level = settings->sinks[sink->id].level;
  sink->format = settings->sinks[sink->id].format;
  if (sink->type->settle) sink->type->settle(sink, settings);
  sink->next_try_ns = 0;
  if (sink->on) return;
  tiny_sink_shut(sink);
  sink->begin = sink->end = 0;
  sink->trouble_ns = sink->lost = 0;
  sink->down = false;
}

void tiny_sink_shut(tiny_sink *sink) {
  if (sink->fd >= 0) close(sink->fd);
  sink->fd = -1;
}

void tiny_sink_fini(tiny_sink *sink) {
  tiny_sink_shut(sink);
  free(sink->bytes);
  free(sink->own);
}
