/* SPDX-License-Identifier: MIT
 * peers.c -- the same measurements in C: libuv's own timers, a classical wheel with a node from
 * malloc for each timer (as in skynet and older kernels), and a bare timerfd.
 *
 *     peers uv N STRIDE | peers wheel N STRIDE
 *                                      CPU ns of a timer made and fired, and MB of memory
 *     peers timerfd PERIOD_MS SECONDS  ns that each wake-up was late, and its number */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static const uint64_t FIRST_MS = 1500, WINDOW_MS = 1000; /* as in server.lua and luv.lua */

static uint64_t ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double rss_mb(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (fscanf(file, "%*d %ld", &pages) != 1) abort();
  fclose(file);
  return (double)pages * 4096 / 1e6;
}

/* Made in the order in which they are due (stride 1), or shuffled. */
static uint64_t stride;

static uint64_t due_ms(uint64_t i, uint64_t n) { return FIRST_MS + i * stride % n * WINDOW_MS / n; }

static uint64_t fired;

static void report(uint64_t began, uint64_t made, uint64_t n, double memory) {
  uint64_t end = ns(CLOCK_PROCESS_CPUTIME_ID);
  printf("%.0f %.0f %.1f\n", (double)(made - began) / (double)n, (double)(end - made) / (double)n,
         memory);
}

/* -- libuv ----------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) { free(handle); }

static void on_uv(uv_timer_t *timer) {
  fired++;
  uv_close((uv_handle_t *)timer, on_closed);
}

static void run_uv(uint64_t n) {
  uv_loop_t *loop = uv_default_loop();
  double before = rss_mb();
  uint64_t began = ns(CLOCK_PROCESS_CPUTIME_ID);
  uv_update_time(loop);
  for (uint64_t i = 0; i < n; i++) {
    uv_timer_t *timer = malloc(sizeof *timer);
    uv_timer_init(loop, timer);
    uv_timer_start(timer, on_uv, due_ms(i, n), 0);
  }
  uint64_t made = ns(CLOCK_PROCESS_CPUTIME_ID);
  double memory = rss_mb() - before;
  uv_run(loop, UV_RUN_DEFAULT);
  report(began, made, n, memory);
}

/* -- a classical wheel ----------------------------------------------------- */

typedef struct wheel_node {
  struct wheel_node *next;
  uint32_t due;
  void (*fn)(void *data);
  void *data;
} wheel_node;

typedef struct list {
  wheel_node *first, **last;
} list;

static list near_slots[256], far_slots[4][64];
static uint32_t present;

static void clear(list *slot) {
  slot->first = NULL;
  slot->last = &slot->first;
}

static void put(wheel_node *node) {
  uint32_t due = node->due, mask = 256 << 6;
  list *slot = &near_slots[due & 255];
  if ((due | 255) != (present | 255)) {
    int level = 0;
    for (; level < 3 && (due | (mask - 1)) != (present | (mask - 1)); level++) mask <<= 6;
    slot = &far_slots[level][due >> (8 + level * 6) & 63];
  }
  node->next = NULL;
  *slot->last = node;
  slot->last = &node->next;
}

static void cascade(list *slot) {
  wheel_node *node = slot->first;
  clear(slot);
  while (node) {
    wheel_node *next = node->next;
    put(node);
    node = next;
  }
}

static void shift(void) {
  uint32_t mask = 256, time = ++present >> 8;
  for (int level = 0; level < 4 && (present & (mask - 1)) == 0; level++, mask <<= 6, time >>= 6) {
    if ((time & 63) == 0 && level < 3) continue;
    cascade(&far_slots[level][time & 63]);
    break;
  }
}

static void expire(void) {
  list *slot = &near_slots[present & 255];
  wheel_node *node = slot->first;
  clear(slot);
  while (node) {
    wheel_node *next = node->next;
    node->fn(node->data);
    free(node);
    node = next;
  }
}

static void on_wheel(void *data) { *(uint64_t *)data += 1; }

static void run_wheel(uint64_t n) {
  for (int i = 0; i < 256; i++) clear(&near_slots[i]);
  for (int i = 0; i < 4 * 64; i++) clear(&far_slots[i / 64][i % 64]);
  double before = rss_mb();
  uint64_t began = ns(CLOCK_PROCESS_CPUTIME_ID), start = ns(CLOCK_MONOTONIC);
  for (uint64_t i = 0; i < n; i++) {
    wheel_node *node = malloc(sizeof *node);
    *node = (wheel_node){NULL, present + (uint32_t)due_ms(i, n), on_wheel, &fired};
    put(node);
  }
  uint64_t made = ns(CLOCK_PROCESS_CPUTIME_ID);
  double memory = rss_mb() - before;
  while (fired < n) {
    uint64_t now = (ns(CLOCK_MONOTONIC) - start) / 1000000;
    while (present < now) shift(), expire();
    usleep(1000);
  }
  report(began, made, n, memory);
}

/* -- a bare timerfd -------------------------------------------------------- */

static void run_timerfd(uint64_t period_ms, uint64_t seconds) {
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  uint64_t period = period_ms * 1000000, first = ns(CLOCK_MONOTONIC) + period, point = 0, passed;
  struct itimerspec when = {{(time_t)(period / 1000000000), (long)(period % 1000000000)},
                            {(time_t)(first / 1000000000), (long)(first % 1000000000)}};
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
  while (point * period < seconds * 1000000000 && read(fd, &passed, sizeof passed) > 0) {
    point += passed;
    printf("%lu %lu\n", ns(CLOCK_MONOTONIC) - (first + (point - 1) * period), point);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  uint64_t n = strtoull(argv[2], NULL, 10);
  stride = strtoull(argv[3], NULL, 10);
  if (strcmp(argv[1], "timerfd") == 0)
    run_timerfd(n, stride);
  else if (strcmp(argv[1], "uv") == 0)
    run_uv(n);
  else
    run_wheel(n);
  return 0;
}
