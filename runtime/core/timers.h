/* SPDX-License-Identifier: MIT
 * timers.h -- everything of one runtime that is due at some time: a hierarchical
 * wheel of small nodes on one libuv handle. Loop thread only. */
#ifndef TINY_TIMERS_H
#define TINY_TIMERS_H

#include <stdint.h>
#include <uv.h>

typedef struct tiny_timers tiny_timers;

/* A pending due time. 0 is none. Valid until it fires or is removed. */
typedef uint32_t tiny_due;

/* What may be due. Each kind has one handler; a node carries its kind and a word. */
typedef enum tiny_due_kind {
  TINY_DUE_TASK,  /* a task's wait ends; the word is the tiny_task */
  TINY_DUE_TIMER, /* a Lua timer fires; the word is the handler's own */
  TINY_DUE_CALL,  /* a deadline of the runtime; the word is the handler's own */
  TINY_DUE_KINDS
} tiny_due_kind;

/* Called between loop turns' phases when a node is due; the node is gone by then
 * and its id may be given out again. May add and remove nodes. 'now' as tiny_timers_now(). */
typedef void (*tiny_due_fn)(void *data, uint64_t word, uint64_t now);

/* Returns NULL when memory or the handle could not be had. */
tiny_timers *tiny_timers_open(uv_loop_t *loop);

/* Due times are rounded up to multiples of 'span_ns' (1 ms at first). Pending ones stay as they are. */
void tiny_timers_precision(tiny_timers *timers, uint64_t span_ns);

void tiny_timers_handle(tiny_timers *timers, tiny_due_kind kind, tiny_due_fn fn, void *data);

/* Add a due time in CLOCK_MONOTONIC nanoseconds; one in the past fires in the
 * next turn of the loop. Returns its id, or 0 when out of memory. */
tiny_due tiny_timers_add(tiny_timers *timers, uint64_t due_ns, tiny_due_kind kind, uint64_t word);

/* Take a pending one out. 0 is allowed. */
void tiny_timers_remove(tiny_timers *timers, tiny_due id);

/* CLOCK_MONOTONIC now, in nanoseconds. */
uint64_t tiny_timers_now(void);

/* How many are pending. */
uint32_t tiny_timers_pending(const tiny_timers *timers);

/* Close the handle; the memory goes in its close callback. Pending nodes are forgotten. */
void tiny_timers_close(tiny_timers *timers);

#endif
