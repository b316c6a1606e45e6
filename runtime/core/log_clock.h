/* SPDX-License-Identifier: MIT
 * log_clock.h -- local time for log lines, kept between lines of the same second. */
#ifndef TINY_LOG_CLOCK_H
#define TINY_LOG_CLOCK_H

#include "clock.h"
#include <stdbool.h>

typedef struct tiny_clock {
  int64_t second;  /* since 1970, that the fields below belong to */
  int64_t quarter; /* the quarter of an hour that 'offset' was asked for, plus one */
  int offset;      /* seconds east of UTC */
  bool frozen;     /* in a signal handler: the offset is not asked for again */
  int year, month, day, hour, minute, sec;
  char date[11], time[9]; /* "2024-05-31" and "23:59:59" */
} tiny_clock;

/* Bring the clock to a second since 1970. Zero it before the first use; one thread. */
void tiny_clock_set(tiny_clock *clock, int64_t second);

/* The local minute, counted from 1970 in local time: it repeats and jumps as the wall clock does. */
int64_t tiny_clock_minute(const tiny_clock *clock);

#endif
