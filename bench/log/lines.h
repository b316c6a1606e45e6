/* SPDX-License-Identifier: MIT
 * lines.h -- what the peers written in C and C++ share: LOG(i) writes a line, SETTLE() waits
 * until all is in the file, OFF(i) is a call whose level is off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BURST 5000

static double ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void nap_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static long waits(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

static void burst(int count) {
  for (int i = 0; i < count; i++) LOG(i);
}

static void measure_bursts(int lines) {
  double caller = 0, all = 0;
  burst(BURST);
  SETTLE();
  for (int n = 0; n < lines; n += BURST) {
    double process = ns(CLOCK_PROCESS_CPUTIME_ID), thread = ns(CLOCK_THREAD_CPUTIME_ID);
    burst(BURST);
    caller += ns(CLOCK_THREAD_CPUTIME_ID) - thread;
    SETTLE();
    all += ns(CLOCK_PROCESS_CPUTIME_ID) - process;
    nap_ms(20);
  }
  printf("{\"caller\": %.1f, \"all\": %.1f}\n", caller / lines, all / lines);
}

static void measure_flood(int lines) {
  double began = ns(CLOCK_MONOTONIC);
  burst(lines);
  SETTLE();
  printf("{\"rate\": %.0f}\n", lines / (ns(CLOCK_MONOTONIC) - began) * 1e9);
}

static void measure_lone(void) {
  double caller = 0;
  for (int i = 0; i < 100; i++) {
    nap_ms(25);
    double before = ns(CLOCK_THREAD_CPUTIME_ID), began = ns(CLOCK_THREAD_CPUTIME_ID);
    burst(1);
    caller += ns(CLOCK_THREAD_CPUTIME_ID) - began - (began - before);
  }
  printf("{\"lone\": %.0f}\n", caller / 100);
}

static void measure_off(void) {
  double thread = ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < 20000000; i++) OFF(i);
  printf("{\"off\": %.2f}\n", (ns(CLOCK_THREAD_CPUTIME_ID) - thread) / 2e7);
}

static void measure_stall(int lines) {
  double worst = 0;
  int blocked = 0;
  for (int i = 0; i < lines; i++) {
    long before = waits();
    double began = ns(CLOCK_MONOTONIC);
    burst(1);
    double took = ns(CLOCK_MONOTONIC) - began;
    blocked += waits() > before;
    if (took > worst) worst = took;
    nap_ms(1);
  }
  printf("{\"worst\": %.0f, \"blocked\": %d}\n", worst, blocked);
}

static void measure(const char *mode, int lines) {
  if (strcmp(mode, "burst") == 0) measure_bursts(lines);
  if (strcmp(mode, "flood") == 0) measure_flood(lines);
  if (strcmp(mode, "lone") == 0) measure_lone();
  if (strcmp(mode, "off") == 0) measure_off();
  if (strcmp(mode, "stall") == 0) measure_stall(lines);
}
