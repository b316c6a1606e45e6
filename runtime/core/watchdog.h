/* SPDX-License-Identifier: MIT
 * watchdog.h -- telling a hang from everything that only looks like one.
 *
 * It judges by what it sees at single moments, and says when it wants to look again: twice a span
 * while all is well. What passed between two looks counts against the loop only as far as the
 * watchdog itself was awake on time, and only when the loop thread was not kept waiting for a
 * CPU: being stopped, traced, frozen, suspended or starved is no hang, nor does any clock step
 * matter. */
#ifndef TINY_WATCHDOG_H
#define TINY_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

/* What is to be seen at one moment; times in CLOCK_MONOTONIC ns. */
typedef struct tiny_sight {
  uint64_t now;
  uint64_t busy_since; /* as in state.h: the stretch of Lua that runs now, 0 for none */
  uint64_t run_sign;   /* as in state.h: run's last sign of life, 0 without a run */
  uint64_t starved;    /* how long the loop thread was ready to run and had no CPU, in all */
  bool excused;        /* starting, closing, or under a debugger: nobody is to blame now */
} tiny_sight;

/* One thing that has to give signs of life. */
typedef struct tiny_pulse {
  uint64_t sign;    /* the last one, 0: nothing to wait for */
  uint64_t charged; /* ns since then that count */
} tiny_pulse;

typedef struct tiny_watchdog {
  uint64_t span; /* ns without a sign that make a hang; 0: off */
  tiny_pulse loop, run;
  tiny_sight last;
  uint64_t planned; /* when the next look was due */
} tiny_watchdog;

typedef enum tiny_verdict {
  TINY_ALIVE,
  TINY_LOOP_HUNG, /* Lua does not come back */
  TINY_RUN_HUNG   /* run waits and does not report, while the loop turns */
} tiny_verdict;

/* Look out, from now on, for hangs of 'span' ns. Zero it first. */
void tiny_watchdog_span(tiny_watchdog *dog, uint64_t span);

/* Judge what is seen. Sets 'next' to when to look again at the latest, UINT64_MAX: never. */
tiny_verdict tiny_watchdog_look(tiny_watchdog *dog, const tiny_sight *sight, uint64_t *next);

/* How long that thread of ours was kept waiting for a CPU, in all, in ns; 0 where the kernel does
 * not tell. 'fd' is from tiny_watchdog_starved_open(), -1 allowed. Any thread. */
int tiny_watchdog_starved_open(int thread_id);
uint64_t tiny_watchdog_starved(int fd);

/* Whether a debugger has hold of this process. */
bool tiny_watchdog_traced(void);

#endif
