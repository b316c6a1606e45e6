/* SPDX-License-Identifier: MIT
 * clock.h -- the kernel's clocks in nanoseconds. */
#ifndef TINY_CLOCK_H
#define TINY_CLOCK_H

#include <stdint.h>
#include <time.h>

/* What the clock shows now: CLOCK_MONOTONIC, CLOCK_REALTIME and so on. Any thread, signal handlers too. */
static inline uint64_t tiny_clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
