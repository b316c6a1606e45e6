/* SPDX-License-Identifier: MIT
 * log_put.c -- the writers' side: from a call on any thread to a record in the ring. */
#include "log_text.h"
#include "log_thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MOST   65536u /* bytes of a message */
#define FIELDS_MOST 65535u /* bytes of its JSON fields */
#define NAME_MOST   255u   /* bytes of a file or function name */

tiny_level tiny_log_threshold(const tiny_log *log) {
  return (tiny_level)atomic_load_explicit(&log->threshold, memory_order_relaxed);
}

static unsigned wants(const tiny_log *log) {
  return atomic_load_explicit(&log->wants, memory_order_relaxed);
}

bool tiny_log_wants_where(const tiny_log *log) { return wants(log) & TINY_WANTS_WHERE; }

bool tiny_log_wants_func(const tiny_log *log) { return wants(log) & TINY_WANTS_FUNC; }

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

static void fill(tiny_log *log, tiny_record *record, const tiny_span parts[PARTS]) {
  char *at = record->bytes;
  record->kind = TINY_RECORD_LINE;
  record->text_size = (uint32_t)(parts[TEXT].size + parts[MARK].size);
  record->file_size = (uint8_t)parts[FILE_NAME].size;
  record->func_size = (uint8_t)parts[FUNC].size;
  record->thread_size = (uint8_t)parts[THREAD].size;
  record->fields_size = (uint16_t)parts[FIELDS].size;
  record->lost = (uint32_t)tiny_log_lost(log);
  record->word = tiny_clock_ns(CLOCK_REALTIME);
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

int tiny_log_put_own(tiny_log *log, tiny_record_kind kind, uint64_t word, int level) {
  tiny_record *record = claim(log, 0, TINY_RANK_OWN);
  if (!record) return -1;
  record->kind = (uint8_t)kind;
  record->level = (uint8_t)level;
  record->word = word;
  tiny_ring_commit(record, 0);
  tiny_log_wake(log);
  return 0;
}
