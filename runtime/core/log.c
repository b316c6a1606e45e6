/* SPDX-License-Identifier: MIT
 * log.c -- the writers' side of a log, and its life. */
#include "log.h"
#include "log_text.h"
#include "log_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TEXT_MOST   65536u /* bytes of a message */
#define FIELDS_MOST 65535u /* bytes of its JSON fields */
#define NAME_MOST   255u   /* bytes of a file or function name */
#define STACK       (256u * 1024)

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

tiny_level tiny_log_threshold(const tiny_log *log) {
  return (tiny_level)atomic_load_explicit(&log->threshold, memory_order_relaxed);
}

static unsigned wants(const tiny_log *log) {
  return atomic_load_explicit(&log->wants, memory_order_relaxed);
}

bool tiny_log_wants_where(const tiny_log *log) { return wants(log) & TINY_WANTS_WHERE; }

bool tiny_log_wants_func(const tiny_log *log) { return wants(log) & TINY_WANTS_FUNC; }

/* ---- putting lines ---- */

/* Claims in the newest ring, which may be replaced meanwhile. NULL: it is full. */
static tiny_record *claim(tiny_log *log, size_t extra, tiny_rank rank) {
  tiny_record *record;
  do {
    tiny_ring *ring = atomic_load_explicit(&log->ring, memory_order_acquire);
    record = tiny_ring_claim(ring, extra, rank);
  } while (record == TINY_RING_CLOSED);
  return record;
}

static void commit(tiny_log *log, tiny_record *record, size_t extra, tiny_level level) {
  tiny_ring_commit(record, extra);
  uint32_t sleep = atomic_load(&log->sleep);
  if (sleep == TINY_LOG_AWAKE) return;
  bool urgent = sleep == TINY_LOG_ASLEEP || level == TINY_ERROR;
  if (urgent || tiny_ring_crowded(atomic_load(&log->ring))) tiny_log_wake(log);
}

uint64_t tiny_log_lost(const tiny_log *log) {
  uint64_t sum = 0;
  for (int level = 0; level < TINY_LEVELS; level++) {
    sum += atomic_load_explicit(&log->lost[level], memory_order_relaxed);
  }
  return sum;
}

/* What lies behind a record's head, in this order. */
typedef enum part { TEXT, MARK, FILE_NAME, FUNC, THREAD, FIELDS, PARTS } part;

static tiny_span span(const char *text, size_t most) {
  return text ? (tiny_span){text, strnlen(text, most)} : (tiny_span){"", 0};
}

static void cut_text(tiny_span parts[PARTS], char *mark, size_t size) {
  size_t whole = parts[TEXT].size;
  parts[TEXT].size = tiny_text_cut(parts[TEXT].text, TEXT_MOST);
  snprintf(mark, size, "... [%zu bytes cut]", whole - parts[TEXT].size);
  parts[MARK] = span(mark, size);
}

/* Not inlined: for sizes that it can guess at the compiler makes a rep movs, slow to begin. */
__attribute__((noinline)) static void copy(char *at, const char *text, size_t size) {
  memcpy(at, text, size);
}

static uint64_t time_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fill(tiny_log *log, tiny_record *record, const tiny_span parts[PARTS]) {
  char *at = record->bytes;
  record->kind = TINY_RECORD_LINE;
  record->text_size = (uint32_t)(parts[TEXT].size + parts[MARK].size);
  record->file_size = (uint8_t)parts[FILE_NAME].size;
  record->func_size = (uint8_t)parts[FUNC].size;
  record->thread_size = (uint8_t)parts[THREAD].size;
  record->fields_size = (uint16_t)parts[FIELDS].size;
  record->lost = (uint32_t)tiny_log_lost(log);
  record->word = time_now();
  for (part i = TEXT; i < PARTS; at += parts[i++].size) {
    if (parts[i].size) copy(at, parts[i].text, parts[i].size);
  }
}

static void put(tiny_log *log, tiny_level level, int number, const tiny_span parts[PARTS]) {
  size_t extra = 0;
  for (part i = TEXT; i < PARTS; i++) extra += parts[i].size;
  tiny_record *record = claim(log, extra, level == TINY_ERROR ? TINY_RANK_ERROR : TINY_RANK_PLAIN);
  if (!record) {
    atomic_fetch_add_explicit(&log->lost[level], 1, memory_order_relaxed);
    return;
  }
  record->level = (uint8_t)level;
  record->line = (uint32_t)number;
  fill(log, record, parts);
  commit(log, record, extra, level);
}

void tiny_log_put(tiny_log *log, tiny_level level, const tiny_where *where, const char *text,
                  size_t size, const char *fields) {
  static const char too_long[] = "{\"fields\":\"too long\"}";
  char thread[16], mark[48];
  tiny_span parts[PARTS];
  if (level < tiny_log_threshold(log)) return;
  bool named = wants(log) & TINY_WANTS_THREAD && !pthread_getname_np(pthread_self(), thread, 16);
  parts[TEXT] = (tiny_span){text, size};
  parts[MARK] = span(NULL, 0);
  parts[FILE_NAME] = span(where ? where->file : NULL, NAME_MOST);
  parts[FUNC] = span(where ? where->func : NULL, NAME_MOST);
  parts[THREAD] = span(named ? thread : NULL, sizeof thread);
  parts[FIELDS] = span(fields, FIELDS_MOST + 1);
  if (parts[FIELDS].size > FIELDS_MOST) parts[FIELDS] = span(too_long, sizeof too_long);
  if (size > TEXT_MOST) cut_text(parts, mark, sizeof mark);
  put(log, level, where ? where->line : 0, parts);
}

void tiny_log_printf(tiny_log *log, tiny_level level, const tiny_where *where, const char *format,
                     ...) {
  char text[512], *longer = NULL;
  va_list args;
  if (level < tiny_log_threshold(log)) return;
  va_start(args, format);
  int size = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (size >= (int)sizeof text) {
    va_start(args, format);
    size = vasprintf(&longer, format, args);
    va_end(args);
  }
  if (size >= 0) tiny_log_put(log, level, where, longer ? longer : text, (size_t)size, NULL);
  free(longer);
}

/* A record of the log's own. Returns 0, or -1 when even the room kept for them is full. */
static int put_own(tiny_log *log, tiny_record_kind kind, uint64_t word, int level) {
  tiny_record *record = claim(log, 0, TINY_RANK_OWN);
  if (!record) return -1;
  record->kind = (uint8_t)kind;
  record->level = (uint8_t)level;
  record->word = word;
  tiny_ring_commit(record, 0);
  tiny_log_wake(log);
  return 0;
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
    return put_own(log, TINY_RECORD_SETTINGS, (uintptr_t)settings, TINY_DEBUG);
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

static int check_sinks(const tiny_log_settings *settings, char *why, size_t why_size) {
  if (settings->sinks[TINY_SINK_FILE].on &&
      tiny_sink_file_check(settings->conf, why, why_size) != 0) {
    return -1;
  }
  if (!settings->sinks[TINY_SINK_SYSLOG].on) return 0;
  return tiny_sink_syslog_check(settings->conf, why, why_size);
}

int tiny_log_configure(tiny_log *log, tiny_conf *conf, char *why, size_t why_size) {
  tiny_log_settings *settings = tiny_log_settings_new(conf, why, why_size);
  if (!settings) return -1;
  adjust(log, settings);
  int error = check_sinks(settings, why, why_size);
  if (!error) {
    pthread_mutex_lock(&log->lock);
    error = apply(log, settings);
    pthread_mutex_unlock(&log->lock);
    if (error) snprintf(why, why_size, "log.buffer: out of memory");
  }
  if (error) tiny_log_settings_free(settings);
  return error;
}

int tiny_log_check(const tiny_conf *conf, char *why, size_t why_size) {
  tiny_log_settings *settings = tiny_log_settings_new((tiny_conf *)conf, why, why_size);
  if (!settings) return -1;
  int error = check_sinks(settings, why, why_size);
  tiny_log_settings_free(settings);
  return error;
}

static void set_level(tiny_log *log, int id, tiny_level level) {
  if (log->levels[id] == TINY_LEVELS) return;
  log->levels[id] = (int)level;
  put_own(log, TINY_RECORD_LEVEL, (uint64_t)id, level);
}

int tiny_log_set_level(tiny_log *log, const char *sink, tiny_level level) {
  int found = -1;
  pthread_mutex_lock(&log->lock);
  for (int id = 0; id < TINY_SINKS; id++) {
    if (sink && strcmp(sink, tiny_sink_name(id)) != 0) continue;
    set_level(log, id, level);
    found = 0;
  }
  show(log);
  pthread_mutex_unlock(&log->lock);
  return found;
}

void tiny_log_on_threshold(tiny_log *log, void (*changed)(void *data), void *data) {
  pthread_mutex_lock(&log->lock);
  log->changed = changed;
  log->changed_data = data;
  pthread_mutex_unlock(&log->lock);
}

void tiny_log_reopen(tiny_log *log) { put_own(log, TINY_RECORD_REOPEN, 0, TINY_DEBUG); }

/* ---- life ---- */

static struct timespec after_ms(unsigned ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static uint64_t in_ns(struct timespec t) {
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int flush(tiny_log *log, unsigned ms, int how) {
  struct timespec until = after_ms(ms);
  int error = ETIMEDOUT;
  pthread_mutex_lock(&log->lock);
  uint64_t ticket = log->asked + 1;
  if (put_own(log, TINY_RECORD_FLUSH, ticket, how) == 0) {
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
  atomic_store(&log->stop_by_ns, in_ns(after_ms(ms)));
  return flush(log, ms + 100, TINY_LOG_LAST);
}

tiny_log_counts tiny_log_count(const tiny_log *log) {
  return (tiny_log_counts){.lines = atomic_load(&log->lines), .dropped = tiny_log_lost(log)};
}

/* Signals are the loop's business: the log thread has none, SIGPIPE included, but for those
 * that its own faults raise: blocked, they would end the process without a word. */
static void block_signals(sigset_t *before) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  sigset_t all;
  sigfillset(&all);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

static int start_thread(tiny_log *log) {
  sigset_t before;
  pthread_attr_t attributes;
  block_signals(&before);
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
  atomic_store(&log->stop_by_ns, in_ns(after_ms(ms)));
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
    pthread_detach(log->thread); /* it keeps the log, which is never freed */
  }
}
