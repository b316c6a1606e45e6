/* SPDX-License-Identifier: MIT
 * watchdog.c -- judging signs of life. */
#include "watchdog.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t MS = 1000000;

/* The first half of a span is watched with one look; the second in steps, so that a pause of the
 * whole process is noticed as a look that comes late. */
enum { STEPS = 8 };

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* How much of the last 'age' ns counts. A late look proves little; something, lest a machine on
 * which all looks are late has no watchdog. */
static uint64_t credit(const tiny_watchdog *dog, const tiny_sight *sight, uint64_t age) {
  uint64_t passed = sight->now - dog->last.now, starved = sight->starved - dog->last.starved;
  uint64_t late = sight->now > dog->planned ? sight->now - dog->planned : 0;
  uint64_t asleep = dog->planned - dog->last.now;
  if (late > asleep / 4 + 100 * MS) age = least(age, asleep / 4);
  if (starved > passed / 4 * 3) age -= least(age, starved);
  return age;
}

static void observe(const tiny_watchdog *dog, tiny_pulse *pulse, const tiny_sight *sight,
                    uint64_t sign) {
  uint64_t since = sign > dog->last.now ? sign : dog->last.now;
  if (pulse->sign != sign) pulse->charged = 0;
  pulse->sign = sign;
  if (!sign || sight->excused)
    pulse->charged = 0;
  else if (sight->now > since)
    pulse->charged += credit(dog, sight, sight->now - since);
}

static uint64_t patience(const tiny_watchdog *dog, const tiny_pulse *pulse) {
  uint64_t half = dog->span / 2;
  if (pulse->charged < half) return half - pulse->charged;
  return least(dog->span - pulse->charged, dog->span / STEPS);
}

void tiny_watchdog_span(tiny_watchdog *dog, uint64_t span) {
  dog->span = span;
  dog->planned = 0; /* what was before the next look was not watched */
}

tiny_verdict tiny_watchdog_look(tiny_watchdog *dog, const tiny_sight *sight, uint64_t *next) {
  if (!dog->planned) {
    dog->last = *sight;
    dog->planned = sight->now;
  }
  observe(dog, &dog->loop, sight, sight->busy_since);
  observe(dog, &dog->run, sight, sight->run_sign);
  dog->last = *sight;
  *next = dog->planned = UINT64_MAX;
  if (!dog->span) return TINY_ALIVE;
  if (dog->loop.charged >= dog->span) return TINY_LOOP_HUNG;
  if (dog->run.charged >= dog->span) return TINY_RUN_HUNG;
  dog->planned = sight->now + least(patience(dog, &dog->loop), patience(dog, &dog->run)) + MS;
  *next = dog->planned;
  return TINY_ALIVE;
}

int tiny_watchdog_starved_open(int thread_id) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", thread_id);
  return open(path, O_RDONLY | O_CLOEXEC);
}

uint64_t tiny_watchdog_starved(int fd) {
  char text[96] = "";
  char *waited;
  if (fd < 0 || pread(fd, text, sizeof text - 1, 0) <= 0) return 0;
  strtoull(text, &waited, 10); /* time run, time waited, turns */
  return strtoull(waited, NULL, 10);
}

bool tiny_watchdog_traced(void) {
  char text[2048];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[size > 0 ? size : 0] = 0;
  const char *tracer = strstr(text, "\nTracerPid:");
  return tracer && atoi(tracer + strlen("\nTracerPid:")) != 0;
}
