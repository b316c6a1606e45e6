/* SPDX-License-Identifier: MIT
 * log_thread.c -- empties the ring into the sinks. The only thread that may wait for one. */
#include "log_thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MS       1000000ull
#define NAP_MOST (16 * MS) /* naps are 1, 2, 4, 8 and then 16 ms long */
#define NAPS     12 /* without a line, before it sleeps: waking it costs a writer some 5 us */
#define GIVE_AT  (4u * 1024) /* units of 8 bytes read, after which the writers get them back */

/* ---- lines ---- */

static void to_sinks(tiny_log *log, const tiny_sink *except, const tiny_line *line) {
  for (int id = 0; id < TINY_SINKS; id++) {
    tiny_sink *sink = &log->sinks[id];
    if (sink == except || !tiny_sink_takes(sink, line->level)) continue;
    tiny_sink_line(sink, &log->clock, line);
  }
}

void tiny_log_own(tiny_log *log, const tiny_sink *except, tiny_level level, const char *format,
                  ...) {
  char text[500];
  va_list args;
  va_start(args, format);
  int size = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (size >= (int)sizeof text) size = sizeof text - 1;
  tiny_line line = {.level = level,
                    .time_ns = tiny_clock_ns(CLOCK_REALTIME),
                    .text = {text, (size_t)size},
                    .file = {"log", 3},
                    .thread = {"log", 3}};
  to_sinks(log, except, &line);
}

/* Lines that found the ring full are told where they are missing: before the next
 * that found room, or when the ring is empty. */
static void tell_lost(tiny_log *log) {
  unsigned long long lost[TINY_LEVELS], sum = 0;
  for (int level = 0; level < TINY_LEVELS; level++) {
    uint64_t total = atomic_load_explicit(&log->lost[level], memory_order_relaxed);
    lost[level] = total - log->told[level];
    log->told[level] = total;
    sum += lost[level];
  }
  log->told_all += sum;
  if (sum == 0) return;
  tiny_log_own(log, NULL, lost[TINY_ERROR] ? TINY_ERROR : TINY_WARN,
               "%llu lines were lost, log.buffer was full (DEBUG %llu, INFO %llu, WARN %llu, "
               "ERROR %llu)",
               sum, lost[TINY_DEBUG], lost[TINY_INFO], lost[TINY_WARN], lost[TINY_ERROR]);
}

/* What was held back until 'time_ns', since 1970. */
static void tell_held(tiny_log *log, uint64_t time_ns) {
  tiny_line line;
  while (tiny_repeat_tell(log->repeat, time_ns, &line)) to_sinks(log, NULL, &line);
}

static void take(tiny_span *span, const char **at, size_t size) {
  span->text = *at;
  span->size = size;
  *at += size;
}

/* Without its folders; but [string "a/b"] is no path. */
static void drop_folders(tiny_span *file) {
  const char *slash =
      file->size && *file->text != '[' ? memrchr(file->text, '/', file->size) : NULL;
  if (!slash) return;
  file->size -= (size_t)(slash + 1 - file->text);
  file->text = slash + 1;
}

void tiny_log_line(const tiny_record *record, tiny_line *line) {
  const char *at = record->bytes;
  line->level = record->level;
  line->time_ns = record->word;
  line->number = record->line;
  take(&line->text, &at, record->text_size);
  take(&line->file, &at, record->file_size);
  take(&line->func, &at, record->func_size);
  take(&line->thread, &at, record->thread_size);
  take(&line->fields, &at, record->fields_size);
  drop_folders(&line->file);
}

static void read_line(tiny_log *log, const tiny_record *record) {
  tiny_line line;
  tiny_log_line(record, &line);
  uint32_t limit = log->settings->repeat_limit;
  uint64_t lines = atomic_load_explicit(&log->lines, memory_order_relaxed);
  atomic_store_explicit(&log->lines, lines + 1, memory_order_relaxed);
  if (record->lost != (uint32_t)log->told_all) tell_lost(log);
  if (!limit || tiny_repeat_pass(log->repeat, limit, &line)) to_sinks(log, NULL, &line);
}

/* ---- what else the ring brings ---- */

static void settle(tiny_log *log, tiny_log_settings *settings) {
  for (int id = 0; id < TINY_SINKS; id++) tiny_sink_settle(&log->sinks[id], settings);
  tiny_log_settings_free(log->settings);
  log->settings = settings;
}

static void tell_changed(tiny_log *log) {
  pthread_mutex_lock(&log->lock);
  void (*changed)(void *data) = log->changed;
  void *data = log->changed_data;
  pthread_mutex_unlock(&log->lock);
  if (changed) changed(data);
}

static void flush(tiny_log *log) {
  uint64_t now = tiny_clock_ns(CLOCK_MONOTONIC);
  for (int id = 0; id < TINY_SINKS; id++) {
    if (log->sinks[id].on) tiny_sink_flush(&log->sinks[id], now);
  }
}

static bool busy(tiny_log *log) {
  for (int id = 0; id < TINY_SINKS; id++) {
    if (log->sinks[id].on && tiny_sink_busy(&log->sinks[id])) return true;
  }
  return false;
}

static void tell_unfinished(tiny_log *log) {
  for (int id = 0; id < TINY_SINKS; id++) {
    tiny_sink *sink = &log->sinks[id];
    if (!sink->on || !tiny_sink_busy(sink)) continue;
    tiny_log_own(log, sink, TINY_ERROR, "log.%s did not take the last lines in time",
                 tiny_sink_name(sink->id));
  }
}

/* The process is about to end: what sinks in trouble still have they get until the time is up. */
static void finish(tiny_log *log) {
  uint64_t by_ns = atomic_load(&log->stop_by_ns);
  tell_lost(log);
  tell_held(log, UINT64_MAX);
  for (int id = 0; id < TINY_SINKS; id++) {
    if (log->sinks[id].on) tiny_sink_hurry(&log->sinks[id], by_ns);
  }
  while (busy(log) && tiny_clock_ns(CLOCK_MONOTONIC) < by_ns) {
    nanosleep(&(struct timespec){0, MS}, NULL);
    flush(log);
  }
  tell_unfinished(log);
  flush(log);
}

static void answer_flush(tiny_log *log, const tiny_record *record) {
  if (record->level == TINY_LOG_LAST)
    finish(log);
  else
    flush(log);
  pthread_mutex_lock(&log->lock);
  log->answered = record->word;
  pthread_cond_broadcast(&log->answers);
  pthread_mutex_unlock(&log->lock);
}

static void read_record(tiny_log *log, const tiny_record *record) {
  switch (record->kind) {
  case TINY_RECORD_LINE: read_line(log, record); break;
  case TINY_RECORD_SETTINGS:
    settle(log, (tiny_log_settings *)(uintptr_t)record->word);
    tell_changed(log);
    break;
  case TINY_RECORD_LEVEL:
    log->sinks[record->word].level = record->level;
    tell_changed(log);
    break;
  case TINY_RECORD_REOPEN: tiny_sink_reopen(&log->sinks[TINY_SINK_FILE]); break;
  case TINY_RECORD_FLUSH: answer_flush(log, record); break;
  default: break;
  }
}

/* A signal handler writes what is left. It ends the process. */
static void park_when_crashed(tiny_log *log) {
  if (!atomic_load_explicit(&log->crashed, memory_order_relaxed)) return;
  atomic_store(&log->parked, true);
  for (;;) pause();
}

static void give_back(tiny_log *log) {
  tiny_ring_give(log->reading, &log->ahead);
  tell_held(log, tiny_clock_ns(CLOCK_REALTIME));
}

/* Read all that is complete. Returns whether there was anything. */
static bool drain(tiny_log *log) {
  tiny_record *record;
  bool any = false;
  while ((record = tiny_ring_peek(log->reading, &log->ahead))) {
    park_when_crashed(log);
    read_record(log, record);
    tiny_ring_pass(log->reading, record, &log->ahead);
    if (log->ahead >= GIVE_AT) give_back(log);
    any = true;
  }
  give_back(log);
  if (!tiny_ring_finished(log->reading)) return any;
  tiny_ring_release(log->reading);
  log->reading = log->reading->next;
  return true;
}

/* ---- beginning and end ---- */

static void wait_until_configured(tiny_log *log) {
  while (!atomic_load(&log->configured)) {
    park_when_crashed(log);
    atomic_store(&log->sleep, TINY_LOG_ASLEEP);
    bool wait = !atomic_load(&log->configured) && !atomic_load(&log->crashed);
    if (wait) tiny_log_wait(log, TINY_LOG_ASLEEP, UINT64_MAX);
  }
  tiny_log_settings *first = log->settings;
  log->settings = NULL;
  settle(log, first);
}

static bool finished(tiny_log *log) { return atomic_load(&log->stop) && tiny_log_empty(log); }

static void end(tiny_log *log) {
  finish(log);
  pthread_mutex_lock(&log->lock);
  log->ended = true;
  pthread_cond_broadcast(&log->answers);
  pthread_mutex_unlock(&log->lock);
}

void *tiny_log_run(void *data) {
  tiny_log *log = data;
  prctl(PR_SET_NAME, "log");
  wait_until_configured(log);
  for (int naps = 0; !finished(log);) {
    bool any = drain(log);
    if (!any) tell_lost(log);
    flush(log);
    park_when_crashed(log);
    naps = any ? 0 : naps + 1;
    if (naps < NAPS)
      tiny_log_rest(log, TINY_LOG_NAPPING, naps < 4 ? MS << naps : NAP_MOST);
    else if (tiny_log_empty(log))
      tiny_log_rest(log, TINY_LOG_ASLEEP, UINT64_MAX);
    else
      naps = 0; /* someone is in the middle of a line */
  }
  end(log);
  return NULL;
}
