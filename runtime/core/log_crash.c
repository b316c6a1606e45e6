/* SPDX-License-Identifier: MIT
 * log_crash.c -- the log's last words, from a signal handler: what the sinks' buffers and the
 * ring hold, then why. Only async-signal-safe calls; nothing is allocated and no lock taken. */
#include "log_text.h"
#include "log_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define PARK_MS 100 /* until the log thread has let go; it may be stuck in a write */
#define SINK_MS 200 /* for a sink that takes no more, in all */
#define NAP_MS  5

static void nap_ms(int ms) {
  struct timespec t = {0, ms * 1000000L};
  nanosleep(&t, NULL);
}

static void park_thread(tiny_log *log) {
  if (pthread_equal(pthread_self(), log->thread)) return; /* it crashed itself */
  tiny_log_wake(log);
  for (int ms = 0; ms < PARK_MS && !atomic_load(&log->parked); ms++) nap_ms(1);
}

/* Write all of it, or give the sink up: it is marked off then. */
static void write_out(tiny_sink *sink, const char *bytes, size_t size) {
  while (sink->on && size > 0) {
    ssize_t n = sink->fd >= 0 ? sink->type->write(sink, bytes, size) : -EBADF;
    if (n > 0) {
      bytes += n;
      size -= (size_t)n;
    } else if (n == -EAGAIN && sink->pause_ns > 0) {
      nap_ms(NAP_MS);
      sink->pause_ns -= NAP_MS;
    } else {
      sink->on = false;
    }
  }
}

/* Before there are any settings: what a line says, to stderr. */
static void write_bare(tiny_log *log, tiny_span text) {
  if (log->muted) return;
  char *end = log->spare + TINY_LOG_SPARE - 1;
  char *at = tiny_text_message(log->spare, end, text.text, text.size);
  *at++ = '\n';
  for (char *from = log->spare; from < at;) {
    ssize_t n = write(STDERR_FILENO, from, (size_t)(at - from));
    if (n <= 0) return;
    from += n;
  }
}

static bool writes(const tiny_sink *sink) { return sink->on && sink->type->write; }

static void write_line(tiny_log *log, const tiny_line *line) {
  if (!atomic_load(&log->configured)) write_bare(log, line->text);
  for (int id = 0; id < TINY_SINKS; id++) {
    tiny_sink *sink = &log->sinks[id];
    if (!writes(sink) || !tiny_sink_takes(sink, line->level)) continue;
    char *end = tiny_sink_write(sink, &log->clock, line, log->spare, log->spare + TINY_LOG_SPARE);
    write_out(sink, log->spare, (size_t)(end - log->spare));
  }
}

static void write_buffers(tiny_log *log) {
  for (int id = 0; id < TINY_SINKS; id++) {
    tiny_sink *sink = &log->sinks[id];
    if (!writes(sink)) continue;
    if (sink->fd < 0 && sink->type->open(sink) != 0) sink->on = false;
    sink->pause_ns = SINK_MS; /* has no other use now than to count that down */
    write_out(sink, sink->bytes + sink->begin, sink->end - sink->begin);
  }
}

static void write_ring(tiny_log *log) {
  for (tiny_ring *ring = log->reading; ring; ring = ring->next) {
    uint32_t ahead = ring == log->reading ? log->ahead : 0;
    tiny_record *record;
    while ((record = tiny_ring_peek(ring, &ahead))) {
      tiny_line line;
      tiny_log_line(record, &line);
      if (record->kind == TINY_RECORD_LINE) write_line(log, &line);
      tiny_ring_pass(ring, record, &ahead);
    }
  }
}

static void write_why(tiny_log *log, const char *text, size_t size) {
  tiny_line line = {.level = TINY_ERROR,
                    .time_ns = tiny_clock_ns(CLOCK_REALTIME),
                    .text = {text, size},
                    .file = {"crash", 5}};
  write_line(log, &line);
}

void tiny_log_crash(tiny_log *log, const char *text, size_t size) {
  sigset_t pipe_signal;
  if (atomic_exchange(&log->crashed, true)) return; /* a second thread, or a crash in here */
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
  park_thread(log);
  log->clock.frozen = true;
  write_buffers(log);
  write_ring(log);
  write_why(log, text, size);
}
