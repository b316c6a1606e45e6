/* SPDX-License-Identifier: MIT
 * log.c -- a log's life: opening, settings, flushing, closing; and the names of levels. */
#include "log.h"
#include "log_thread.h"
#include "signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define STACK (256u * 1024)

/* ---- levels ---- */

static const char *const names[TINY_LEVELS] = {"DEBUG", "INFO", "WARN", "ERROR"};

const char *tiny_level_name(tiny_level level) { return names[level]; }

int tiny_level_parse(const char *name, tiny_level *level) {
  static const struct {
    const char *name;
    tiny_level level;
  } words[] = {{"DEBUG", TINY_DEBUG},   {"INFO", TINY_INFO}, {"WARN", TINY_WARN},
               {"WARNING", TINY_WARN},  {"ERR", TINY_ERROR}, {"ERROR", TINY_ERROR},
               {"CRITICAL", TINY_ERROR}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcasecmp(name, words[i].name) != 0) continue;
    *level = words[i].level;
    return 0;
  }
  return -1;
}

/* ---- settings ---- */

void tiny_log_attach(tiny_log *log, void (*take)(void *data, const tiny_logged *line), void *data,
                     tiny_level level) {
  log->host = take;
  log->host_data = data;
  log->host_level = level;
}

void tiny_log_mute(tiny_log *log) { log->muted = true; }

/* What the program around us wants goes over what conf.lua says. */
static void adjust(const tiny_log *log, tiny_log_settings *settings) {
  settings->sinks[TINY_SINK_HOST].on = log->host != NULL;
  settings->sinks[TINY_SINK_HOST].level = log->host_level;
  if (log->muted) settings->sinks[TINY_SINK_CONSOLE].on = false;
}

/* What writers see of the settings. Under the lock. */
static void show(tiny_log *log) {
  int threshold = TINY_ERROR;
  for (int id = 0; id < TINY_SINKS; id++) {
    if (log->levels[id] < threshold) threshold = log->levels[id];
  }
  atomic_store(&log->threshold, threshold);
}

/* A ring of another size takes over; the reader empties the old one first. */
static int resize(tiny_log *log, size_t buffer) {
  tiny_ring *old = atomic_load(&log->ring), *ring;
  if (buffer == log->buffer) return 0;
  if (!(ring = tiny_ring_new(buffer))) return -1;
  old->next = ring;
  log->buffer = buffer;
  atomic_store(&log->ring, ring);
  tiny_ring_close(old);
  return 0;
}

/* The first settings wake the thread, later ones reach it in the ring, behind the
 * lines that were put before. */
static int hand_over(tiny_log *log, tiny_log_settings *settings) {
  if (atomic_load(&log->configured)) {
    return tiny_log_put_own(log, TINY_RECORD_SETTINGS, (uintptr_t)settings, TINY_DEBUG);
  }
  log->settings = settings;
  atomic_store(&log->configured, true);
  tiny_log_wake(log);
  return 0;
}

static int apply(tiny_log *log, tiny_log_settings *settings) {
  int levels[TINY_SINKS];
  for (int id = 0; id < TINY_SINKS; id++) {
    levels[id] = settings->sinks[id].on ? (int)settings->sinks[id].level : TINY_LEVELS;
  }
  unsigned need = tiny_log_settings_wants(settings);
  if (resize(log, settings->buffer) != 0 || hand_over(log, settings) != 0) return -1;
  memcpy(log->levels, levels, sizeof levels);
  atomic_store(&log->wants, need);
  show(log);
  return 0;
}

int tiny_log_configure(tiny_log *log, tiny_conf *conf, char *why, size_t why_size) {
  tiny_log_settings *settings = tiny_log_settings_new(conf, why, why_size);
  if (!settings) return -1;
  adjust(log, settings);
  pthread_mutex_lock(&log->lock);
  int error = apply(log, settings);
  pthread_mutex_unlock(&log->lock);
  if (!error) return 0;
  snprintf(why, why_size, "log.buffer: out of memory");
  tiny_log_settings_free(settings);
  return -1;
}

static int check_sinks(const tiny_log_settings *settings, char *why, size_t why_size) {
  if (settings->sinks[TINY_SINK_FILE].on &&
      tiny_sink_file_check(settings->conf, why, why_size) != 0) {
    return -1;
  }
  if (!settings->sinks[TINY_SINK_SYSLOG].on) return 0;
  return tiny_sink_syslog_check(settings->conf, why, why_size);
}

int tiny_log_check(const tiny_conf *conf, char *why, size_t why_size) {
  tiny_log_settings *settings = tiny_log_settings_new((tiny_conf *)conf, why, why_size);
  if (!settings) return -1;
  int error = check_sinks(settings, why, why_size);
  tiny_log_settings_free(settings);
  return error;
}

/* Returns whether it is on. */
static bool set_level(tiny_log *log, int id, tiny_level level) {
  if (log->levels[id] == TINY_LEVELS) return false;
  log->levels[id] = (int)level;
  tiny_log_put_own(log, TINY_RECORD_LEVEL, (uint64_t)id, level);
  return true;
}

/* The host's sink is not the configuration's, and comes last. */
int tiny_log_set_level(tiny_log *log, const char *sink, tiny_level level, char *why,
                       size_t why_size) {
  bool known = !sink, set = !sink;
  pthread_mutex_lock(&log->lock);
  for (int id = 0; id < TINY_SINK_HOST; id++) {
    if (sink && strcmp(sink, tiny_sink_name(id)) != 0) continue;
    known = true;
    if (set_level(log, id, level)) set = true;
  }
  show(log);
  pthread_mutex_unlock(&log->lock);
  if (!known)
    snprintf(why, why_size, "unknown sink \"%.40s\": it is console, syslog, file_log or email",
             sink);
  else if (!set)
    snprintf(why, why_size, "log.%s is off", sink);
  return set ? 0 : -1;
}

void tiny_log_on_threshold(tiny_log *log, void (*changed)(void *data), void *data) {
  pthread_mutex_lock(&log->lock);
  log->changed = changed;
  log->changed_data = data;
  pthread_mutex_unlock(&log->lock);
}

void tiny_log_reopen(tiny_log *log) { tiny_log_put_own(log, TINY_RECORD_REOPEN, 0, TINY_DEBUG); }

/* ---- life ---- */

static struct timespec after_ms(unsigned ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static uint64_t by_ns(unsigned ms) {
  return tiny_clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;
}

static int flush(tiny_log *log, unsigned ms, int how) {
  struct timespec until = after_ms(ms);
  int error = ETIMEDOUT;
  pthread_mutex_lock(&log->lock);
  uint64_t ticket = log->asked + 1;
  if (tiny_log_put_own(log, TINY_RECORD_FLUSH, ticket, how) == 0) {
    log->asked = ticket;
    for (error = 0; !error && log->answered < ticket;) {
      error = pthread_cond_timedwait(&log->answers, &log->lock, &until);
    }
  }
  pthread_mutex_unlock(&log->lock);
  return error ? -1 : 0;
}

/* Nobody ever said where to: the reason of a failed start must be seen all the same. */
static void configure_at_last(tiny_log *log) {
  char why[100];
  if (!atomic_load(&log->configured)) tiny_log_configure(log, NULL, why, sizeof why);
}

int tiny_log_flush(tiny_log *log, unsigned ms) {
  configure_at_last(log);
  return flush(log, ms, TINY_LOG_ALL);
}

int tiny_log_finish(tiny_log *log, unsigned ms) {
  configure_at_last(log);
  atomic_store(&log->stop_by_ns, by_ns(ms));
  return flush(log, ms + 100, TINY_LOG_LAST);
}

tiny_log_counts tiny_log_count(const tiny_log *log) {
  return (tiny_log_counts){.lines = atomic_load(&log->lines), .dropped = tiny_log_lost(log)};
}

/* Signals are the loop's business: the log thread has none, SIGPIPE included. */
static int start_thread(tiny_log *log) {
  sigset_t ours, before;
  pthread_attr_t attributes;
  tiny_signals_but_faults(&ours);
  pthread_sigmask(SIG_SETMASK, &ours, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  int error = pthread_create(&log->thread, &attributes, tiny_log_run, log);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

static void destroy(tiny_log *log) {
  for (int id = 0; id < TINY_SINKS; id++) tiny_sink_fini(&log->sinks[id]);
  tiny_log_settings_free(log->settings);
  tiny_repeat_free(log->repeat);
  free(log->spare);
  for (tiny_ring *ring = log->first, *next; ring; ring = next) {
    next = ring->next;
    tiny_ring_free(ring);
  }
  pthread_mutex_destroy(&log->lock);
  pthread_cond_destroy(&log->answers);
  free(log);
}

static void init_sinks(tiny_log *log) {
  static const tiny_sink_type *const types[TINY_SINKS] = {
      [TINY_SINK_CONSOLE] = &tiny_sink_console, [TINY_SINK_SYSLOG] = &tiny_sink_syslog,
      [TINY_SINK_FILE] = &tiny_sink_file,       [TINY_SINK_EMAIL] = &tiny_sink_email,
      [TINY_SINK_HOST] = &tiny_sink_host,
  };
  for (int id = 0; id < TINY_SINKS; id++) {
    log->sinks[id] = (tiny_sink){.type = types[id], .id = id, .log = log, .fd = -1};
    log->levels[id] = TINY_LEVELS;
  }
}

static void init_lock(tiny_log *log) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&log->lock, NULL);
  pthread_cond_init(&log->answers, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

tiny_log *tiny_log_open(void) {
  tiny_log *log = aligned_alloc(64, sizeof *log);
  if (!log) return NULL;
  memset((void *)log, 0, sizeof *log);
  init_lock(log);
  init_sinks(log);
  log->buffer = 4u << 20;
  atomic_store(&log->wants, TINY_WANTS_WHERE); /* until it is known: the usual format does */
  log->repeat = tiny_repeat_new();
  log->spare = malloc(TINY_LOG_SPARE);
  log->first = log->reading = tiny_ring_new(log->buffer);
  atomic_store(&log->ring, log->first);
  if (log->repeat && log->spare && log->first && start_thread(log) == 0) return log;
  destroy(log);
  return NULL;
}

/* The thread gives up itself when the time is up, unless a dead disk holds it. */
static bool wait_for_end(tiny_log *log, unsigned ms) {
  struct timespec until = after_ms(ms + 500);
  int error = 0;
  atomic_store(&log->stop_by_ns, by_ns(ms));
  atomic_store(&log->stop, true);
  tiny_log_wake(log);
  pthread_mutex_lock(&log->lock);
  while (!error && !log->ended) error = pthread_cond_timedwait(&log->answers, &log->lock, &until);
  bool ended = log->ended;
  pthread_mutex_unlock(&log->lock);
  return ended;
}

void tiny_log_close(tiny_log *log, unsigned ms) {
  if (!log) return;
  configure_at_last(log);
  tiny_log_on_threshold(log, NULL, NULL);
  if (wait_for_end(log, ms)) {
    pthread_join(log->thread, NULL);
    destroy(log);
  } else {
    atomic_store(&log->crashed, true); /* should it ever come back, it does nothing more */
    pthread_detach(log->thread);       /* and keeps the log, which is never freed */
  }
}
