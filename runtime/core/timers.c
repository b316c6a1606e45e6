/* SPDX-License-Identifier: MIT
 * timers.c -- the wheel's clock: a timerfd that wakes the loop. uv_timer counts in whole
 * milliseconds and is late by 0.6 of them in the median, a timerfd by 0.05. It is set to
 * relative times, because libfaketime takes every absolute one for wall time. */
#include "timers.h"

#include "clock.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BATCH = 4096 }; /* nodes fired before I/O gets its turn */
static const uint64_t SPAN_FIRST = 1000000, SPAN_LEAST = 10000;
static const uint64_t NEVER = UINT64_MAX;
static const uint64_t SOON = 2000; /* ns; 0 disarms, and libfaketime divides it when time is fast */

static_assert((int)TINY_DUE_KINDS <= (int)TINY_WHEEL_KINDS, "a kind must fit the wheel");

typedef struct handler {
  tiny_due_fn fn;
  void *data;
} handler;

struct tiny_timers {
  uv_poll_t wake;
  int fd;
  bool closing;
  uint64_t span;     /* ns in a tick */
  uint64_t armed_ns; /* what the fd is set to, NEVER when it is not */
  tiny_wheel wheel;
  handler handlers[TINY_DUE_KINDS];
};

static _Atomic uint64_t frozen_ns; /* 0: time passes */

static uint64_t real_now(void) { return tiny_clock_ns(CLOCK_MONOTONIC); }

uint64_t tiny_timers_now(void) {
  uint64_t frozen = atomic_load_explicit(&frozen_ns, memory_order_relaxed);
  return frozen ? frozen : real_now();
}

int64_t tiny_timers_skew(void) {
  uint64_t frozen = atomic_load(&frozen_ns);
  return frozen ? (int64_t)(frozen - real_now()) : 0;
}

uint64_t tiny_timers_after(double seconds) {
  if (!(seconds < 9e9)) return NEVER;
  return tiny_timers_now() + (seconds > 0 ? (uint64_t)(seconds * 1e9) : 0);
}

/* Centuries are cut short, so that a tick can always be told, and told in ns. */
static uint64_t tick_of(uint64_t span, uint64_t due_ns) {
  uint64_t tick = due_ns / span + (due_ns % span != 0);
  uint64_t last = NEVER / span;
  if (last > TINY_WHEEL_LAST) last = TINY_WHEEL_LAST;
  return tick < last ? tick : last;
}

/* -- the fd ---------------------------------------------------------------- */

static void arm(tiny_timers *timers, uint64_t due_ns) {
  struct itimerspec when = {{0, 0}, {0, 0}};
  uint64_t now = due_ns == NEVER ? 0 : tiny_timers_now();
  uint64_t wait = due_ns > now + SOON ? due_ns - now : SOON;
  if (due_ns != NEVER) {
    when.it_value.tv_sec = (time_t)(wait / 1000000000);
    when.it_value.tv_nsec = (long)(wait % 1000000000);
  }
  timers->armed_ns = due_ns;
  timerfd_settime(timers->fd, 0, &when, NULL); /* takes back an unread expiration, too */
}

static void arm_next(tiny_timers *timers) { arm(timers, tiny_timers_next(timers)); }

void tiny_timers_freeze(tiny_timers *timers, uint64_t now_ns) {
  atomic_store(&frozen_ns, now_ns);
  arm_next(timers);
}

uint64_t tiny_timers_next(tiny_timers *timers) {
  uint64_t tick = tiny_wheel_next(&timers->wheel);
  return tick == TINY_WHEEL_NEVER ? NEVER : tick * timers->span;
}

/* Nodes keep the loop alive, the handle alone does not. */
static void keep_alive(tiny_timers *timers) {
  if (timers->wheel.pending > 0)
    uv_ref((uv_handle_t *)&timers->wake);
  else
    uv_unref((uv_handle_t *)&timers->wake);
}

/* Fire what is due by now, but leave the loop its turn after a batch. A handler may close. */
static void fire(tiny_timers *timers, uint64_t now) {
  tiny_wheel_due due;
  for (int i = 0; i < BATCH && !timers->closing && tiny_wheel_take(&timers->wheel, &due); i++) {
    handler h = timers->handlers[due.kind];
    h.fn(h.data, due.id, due.word, now);
  }
}

static void on_wake(uv_poll_t *handle, int status, int events) {
  tiny_timers *timers = handle->data;
  uint64_t now = tiny_timers_now();
  (void)status, (void)events;
  tiny_wheel_turn(&timers->wheel, now / timers->span);
  fire(timers, now);
  if (timers->closing) return;
  keep_alive(timers);
  arm_next(timers);
}

/* -- opening and closing --------------------------------------------------- */

static void free_timers(tiny_timers *timers) {
  if (timers->fd >= 0) close(timers->fd);
  tiny_wheel_close(&timers->wheel);
  free(timers);
}

static int open_parts(tiny_timers *timers, uv_loop_t *loop) {
  timers->span = SPAN_FIRST;
  timers->armed_ns = NEVER;
  timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (tiny_wheel_open(&timers->wheel, tiny_timers_now() / timers->span) != 0) return -1;
  if (timers->fd < 0 || uv_poll_init(loop, &timers->wake, timers->fd) != 0) return -1;
  timers->wake.data = timers;
  return 0;
}

tiny_timers *tiny_timers_open(uv_loop_t *loop) {
  tiny_timers *timers = calloc(1, sizeof *timers);
  if (!timers) return NULL;
  if (open_parts(timers, loop) != 0) {
    free_timers(timers);
    return NULL;
  }
  uv_poll_start(&timers->wake, UV_READABLE, on_wake);
  keep_alive(timers);
  return timers;
}

static void on_close(uv_handle_t *handle) { free_timers(handle->data); }

void tiny_timers_close(tiny_timers *timers) {
  timers->closing = true;
  uv_close((uv_handle_t *)&timers->wake, on_close);
}

/* -- for users ------------------------------------------------------------- */

void tiny_timers_handle(tiny_timers *timers, tiny_due_kind kind, tiny_due_fn fn, void *data) {
  timers->handlers[kind] = (handler){fn, data};
}

tiny_due tiny_timers_add(tiny_timers *timers, uint64_t due_ns, tiny_due_kind kind, uint64_t word) {
  uint64_t tick = tick_of(timers->span, due_ns), wake_ns = tick * timers->span;
  if (timers->wheel.pending == 0) /* it stood still while empty */
    timers->wheel.tick = tiny_timers_now() / timers->span;
  tiny_due id = tiny_wheel_add(&timers->wheel, tick, kind, word);
  if (!id) return 0;
  if (timers->wheel.pending == 1) keep_alive(timers);
  if (wake_ns < timers->armed_ns) arm(timers, wake_ns);
  return id;
}

/* A fd that is set too soon wakes the loop once for nothing; a system call here would
 * cost every timeout that is not needed in the end. */
bool tiny_timers_remove(tiny_timers *timers, tiny_due id) {
  bool was = tiny_wheel_remove(&timers->wheel, id);
  if (timers->wheel.pending == 0) keep_alive(timers);
  return was;
}

void tiny_timers_forget(tiny_timers *timers, tiny_due_kind kind, uint64_t word) {
  tiny_wheel_forget(&timers->wheel, kind, word);
  keep_alive(timers);
}

void tiny_timers_hold(tiny_timers *timers, tiny_due_kind kind, bool held) {
  if ((timers->wheel.held >> kind & 1) == held) return;
  tiny_wheel_hold(&timers->wheel, kind, held);
  if (!held) arm_next(timers);
}

typedef struct spans {
  uint64_t from, to;
} spans;

static uint64_t rescale(const void *data, uint64_t tick) {
  const spans *s = data;
  return tick_of(s->to, tick * s->from);
}

void tiny_timers_precision(tiny_timers *timers, uint64_t span_ns) {
  spans s = {timers->span, span_ns > SPAN_LEAST ? span_ns : SPAN_LEAST};
  if (s.from == s.to) return;
  timers->span = s.to;
  tiny_wheel_rescale(&timers->wheel, tiny_timers_now() / s.to, rescale, &s);
  arm_next(timers);
}

uint64_t tiny_timers_round(const tiny_timers *timers, uint64_t due_ns) {
  return tick_of(timers->span, due_ns) * timers->span;
}

uint32_t tiny_timers_soon(const tiny_timers *timers) { return tiny_wheel_soon(&timers->wheel); }

uint32_t tiny_timers_pending(const tiny_timers *timers) { return timers->wheel.pending; }
