/* SPDX-License-Identifier: MIT
 * log_thread.h -- the inside of a log, shared by the files log*.c: the writers' side
 * and the thread that empties the ring into the sinks. */
#ifndef TINY_LOG_THREAD_H
#define TINY_LOG_THREAD_H

#include "log_repeat.h"
#include "log_ring.h"
#include "sink.h"
#include <pthread.h>

/* What the log thread is at, for those who may have to wake it. */
typedef enum tiny_log_sleep {
  TINY_LOG_AWAKE,
  TINY_LOG_NAPPING, /* looks again soon: wake it only for errors and for a ring that fills up */
  TINY_LOG_ASLEEP   /* until woken */
} tiny_log_sleep;

#define TINY_LOG_SPARE (128u * 1024)

struct tiny_log {
  /* Read by every writer, seldom written. */
  _Atomic(tiny_ring *) ring; /* the newest; those before it are closed */
  _Atomic int threshold;     /* tiny_level */
  _Atomic unsigned wants;    /* TINY_WANTS_* */
  _Atomic bool configured;   /* the thread reads nothing before */

  /* Set before the first configure. */
  void (*host)(void *data, const tiny_logged *line); /* NULL: nobody */
  void *host_data;
  tiny_level host_level;
  bool muted;

  _Alignas(64) _Atomic uint32_t sleep;             /* tiny_log_sleep, a futex */
  _Alignas(64) _Atomic uint64_t lost[TINY_LEVELS]; /* lines that found the ring full */
  _Atomic bool stop;                               /* empty the ring, then end */
  _Atomic uint64_t stop_by_ns;                     /* CLOCK_MONOTONIC; set before 'stop' */
  _Atomic bool nudged;                             /* woken for something not in the ring */
  _Atomic bool crashed; /* leave the sinks alone: a signal handler has them */
  _Atomic bool parked;  /* the thread has left them to it */

  pthread_t thread;
  pthread_mutex_t lock; /* guards what is below until the next comment */
  pthread_cond_t answers;
  uint64_t asked, answered; /* tickets of tiny_log_flush() */
  bool ended;               /* the thread is about to return */
  tiny_ring *first;         /* the oldest ring; the list owns them all */
  size_t buffer;            /* bytes of the newest */
  int levels[TINY_SINKS];   /* TINY_LEVELS: off */
  void (*changed)(void *data);
  void *changed_data;

  /* The log thread's own; it writes here for each line, so let no writer read in the same cache line. */
  _Alignas(64) _Atomic uint64_t lines; /* read out of the ring; any thread may ask */
  tiny_ring *reading;
  uint32_t ahead; /* read, and not yet given back to the writers */
  tiny_log_settings *settings;
  tiny_sink sinks[TINY_SINKS];
  tiny_clock clock;
  tiny_repeat *repeat;
  uint64_t told[TINY_LEVELS]; /* of 'lost' */
  uint64_t told_all;
  char *spare; /* TINY_LOG_SPARE bytes that a signal handler formats lines in */
};

/* How many lines found the ring full, all levels. Any thread. */
uint64_t tiny_log_lost(const tiny_log *log);

/* Put a record of the log's own kind, without text. Returns 0, or -1 when even the room that is
 * kept for them is full. Any thread. */
int tiny_log_put_own(tiny_log *log, tiny_record_kind kind, uint64_t word, int level);

/* The thread's main function; 'log' is its argument. */
void *tiny_log_run(void *log);

/* A line as it lies in the ring: its spans point into the record. */
void tiny_log_line(const tiny_record *record, tiny_line *line);

/* Let the log thread look at the ring, if it sleeps. Any thread. */
void tiny_log_wake(tiny_log *log);

/* Let it look after its sinks, also if it is just about to sleep. Any thread. */
void tiny_log_nudge(tiny_log *log);

/* Nothing is left in the ring, nor in one that took its place. Log thread. */
bool tiny_log_empty(const tiny_log *log);

/* Rest for 'most_ns' at the longest, or until a sink has something due. Log thread. */
void tiny_log_rest(tiny_log *log, tiny_log_sleep how, uint64_t most_ns);

/* Only wait while 'how' is what log->sleep says. Log thread. */
void tiny_log_wait(tiny_log *log, tiny_log_sleep how, uint64_t ns);

/* A line of the log's own to every sink but 'except' (NULL: to all). Log thread. */
void tiny_log_own(tiny_log *log, const tiny_sink *except, tiny_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
