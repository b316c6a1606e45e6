/* SPDX-License-Identifier: MIT
 * timers.h -- everything of one runtime that is due at some time: a wheel of small nodes
 * (wheel.h) on the monotonic clock and one libuv handle. Loop thread only. */
#ifndef TINY_TIMERS_H
#define TINY_TIMERS_H

#include "wheel.h"
#include <uv.h>

typedef struct tiny_timers tiny_timers;

/* What may be due. Each kind has one handler; a node carries its kind and a word. */
typedef enum tiny_due_kind {
  TINY_DUE_TASK,   /* a task's wait ends; the word is the tiny_task */
  TINY_DUE_LIMIT,  /* a tiny.timeout runs out; the word is the handler's own */
  TINY_DUE_TIMER,  /* a Lua timer fires; the word is the tiny_generation */
  TINY_DUE_WORKER, /* a thread timer's call takes long; the word is the tiny_worker */
  TINY_DUE_CALL,   /* a deadline of the runtime; the word is the handler's own */
  TINY_DUE_KINDS
} tiny_due_kind;

/* Called when a node is due, never before its time; its id is over by then. In order of due
 * times, and of adding where these are the same. May add and remove nodes: one that is added
 * already due fires in the next turn of the loop. 'now' is when the loop woke up. */
typedef void (*tiny_due_fn)(void *data, tiny_due id, uint64_t word, uint64_t now);

/* Returns NULL when memory or the handle could not be had. */
tiny_timers *tiny_timers_open(uv_loop_t *loop);

/* Due times are rounded up to multiples of 'span_ns' (1 ms at first, 10 us at least), so that
 * near ones share one wake-up. Pending ones move to the new multiples; takes O(pending). */
void tiny_timers_precision(tiny_timers *timers, uint64_t span_ns);

/* 'due_ns' as it will be kept: rounded up to the precision. */
uint64_t tiny_timers_round(const tiny_timers *timers, uint64_t due_ns);

void tiny_timers_handle(tiny_timers *timers, tiny_due_kind kind, tiny_due_fn fn, void *data);

/* Let the due ones of a kind wait, still pending, or no longer. They keep their order. */
void tiny_timers_hold(tiny_timers *timers, tiny_due_kind kind, bool held);

/* Add a due time in CLOCK_MONOTONIC nanoseconds; one in the past fires in the next turn
 * of the loop, one that is centuries away never. O(1). Returns its id, or 0 when out of memory. */
tiny_due tiny_timers_add(tiny_timers *timers, uint64_t due_ns, tiny_due_kind kind, uint64_t word);

/* The low half of the id of one that is due soon after the one whose handler runs, or 0. */
uint32_t tiny_timers_soon(const tiny_timers *timers);

/* Take a pending one out: whether it was pending. O(1). 0 and ids that are over are allowed. */
bool tiny_timers_remove(tiny_timers *timers, tiny_due id);

/* Take out all of a kind with that word. O(most ever pending at once). */
void tiny_timers_forget(tiny_timers *timers, tiny_due_kind kind, uint64_t word);

/* CLOCK_MONOTONIC now, in nanoseconds. Any thread. */
uint64_t tiny_timers_now(void);

/* For specs: let it be this time for tiny_timers_now(), in the whole process, until the next call; 0: the
 * real time again. What that makes due fires in the next turns. */
void tiny_timers_freeze(tiny_timers *timers, uint64_t now_ns);

/* How far that time is from the real one, in ns. Any thread. */
int64_t tiny_timers_skew(void);

/* When the next pending one is due, or earlier; UINT64_MAX: there is none. */
uint64_t tiny_timers_next(tiny_timers *timers);

/* So many seconds from now, for ever where they are too many. Not for NaN. Any thread. */
uint64_t tiny_timers_after(double seconds);

/* How many are pending. The loop is kept alive by them, and only by them. */
uint32_t tiny_timers_pending(const tiny_timers *timers);

/* Close the handle; the memory goes in its close callback. Pending nodes are forgotten.
 * A handler may call it. */
void tiny_timers_close(tiny_timers *timers);

#endif
