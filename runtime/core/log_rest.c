/* SPDX-License-Identifier: MIT
 * log_rest.c -- how the log thread rests, and who wakes it. */
#include "log_thread.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000u

void tiny_log_wait(tiny_log *log, tiny_log_sleep how, uint64_t ns) {
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  syscall(SYS_futex, &log->sleep, FUTEX_WAIT_PRIVATE, (uint32_t)how, ns == UINT64_MAX ? NULL : &t,
          NULL, 0);
}

void tiny_log_wake(tiny_log *log) {
  if (atomic_exchange(&log->sleep, TINY_LOG_AWAKE) == TINY_LOG_AWAKE) return;
  syscall(SYS_futex, &log->sleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void tiny_log_nudge(tiny_log *log) {
  atomic_store(&log->nudged, true);
  tiny_log_wake(log);
}

static uint64_t from_now(uint64_t due, clockid_t clock) {
  uint64_t now = due == UINT64_MAX ? 0 : tiny_clock_ns(clock);
  return due > now ? due - now : 0;
}

static uint64_t until_due(const tiny_log *log) {
  uint64_t wait = from_now(tiny_repeat_due(log->repeat), CLOCK_REALTIME);
  if (wait != UINT64_MAX && wait > SECOND) wait = SECOND; /* the clock was set back */
  for (int id = 0; id < TINY_SINKS; id++) {
    uint64_t ns = from_now(tiny_sink_due(&log->sinks[id]), CLOCK_MONOTONIC);
    if (log->sinks[id].on && ns < wait) wait = ns;
  }
  return wait;
}

bool tiny_log_empty(const tiny_log *log) {
  return tiny_ring_used(log->reading) == 0 && log->reading == atomic_load(&log->ring);
}

/* A nap lets lines gather, and ends early only for a ring that fills up. */
static bool may_rest(tiny_log *log, tiny_log_sleep how) {
  if (atomic_load(&log->stop) || atomic_load(&log->crashed)) return false;
  if (atomic_exchange(&log->nudged, false)) return false;
  return how == TINY_LOG_ASLEEP ? tiny_log_empty(log) : !tiny_ring_crowded(log->reading);
}

/* Whoever brings something after may_rest() has looked finds the thread resting, and wakes it. */
void tiny_log_rest(tiny_log *log, tiny_log_sleep how, uint64_t most_ns) {
  uint64_t ns = until_due(log);
  tiny_ring_rewind(log->reading);
  atomic_store(&log->sleep, how);
  if (ns > 0 && may_rest(log, how)) tiny_log_wait(log, how, ns < most_ns ? ns : most_ns);
  atomic_store(&log->sleep, TINY_LOG_AWAKE);
}
