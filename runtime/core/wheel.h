/* SPDX-License-Identifier: MIT
 * wheel.h -- a hierarchical timing wheel: nodes of 24 bytes that are due at some tick of a
 * clock. It knows no clock itself. Not for two threads at once. */
#ifndef TINY_WHEEL_H
#define TINY_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define TINY_WHEEL_LAST  ((UINT64_C(1) << 48) - 1) /* the last tick that can be told */
#define TINY_WHEEL_NEVER UINT64_MAX

enum { TINY_WHEEL_KINDS = 7, TINY_WHEEL_LEVELS = 6, TINY_WHEEL_SLOTS = 256 };

/* A pending node; 0 is none. It stays below 2^53, so a Lua number holds it. Once its node has
 * been taken or removed it means nothing and may be passed on without harm: its node has to be
 * used again 8,192 times before it could be taken for another one. */
typedef uint64_t tiny_due;

typedef struct tiny_wheel_node tiny_wheel_node;

typedef struct tiny_wheel {
  uint64_t tick; /* the present one: all before it have become due */
  tiny_wheel_node *nodes;
  uint32_t used, size; /* nodes ever used, nodes allocated; the rings' heads included */
  uint32_t free;       /* first free node, 0 when there is none */
  uint32_t pending;
  unsigned held;                                           /* kinds, as bits */
  uint64_t full[TINY_WHEEL_LEVELS][TINY_WHEEL_SLOTS / 64]; /* slots that may have nodes */
} tiny_wheel;

/* Returns 0, or -1 when out of memory. */
int tiny_wheel_open(tiny_wheel *wheel, uint64_t tick);
void tiny_wheel_close(tiny_wheel *wheel);

/* Add a node: 'tick' up to TINY_WHEEL_LAST, one that is over counts as due now. 'kind' is below
 * TINY_WHEEL_KINDS. O(1). Returns its id, or 0 when out of memory. */
tiny_due tiny_wheel_add(tiny_wheel *wheel, uint64_t tick, unsigned kind, uint64_t word);

/* Take a pending node out, due or not. O(1). 0 and ids that are over are allowed: false. */
bool tiny_wheel_remove(tiny_wheel *wheel, tiny_due id);

/* Take out all nodes of that kind and word. O(nodes ever pending at once). */
void tiny_wheel_forget(tiny_wheel *wheel, unsigned kind, uint64_t word);

/* Make due what is due at 'tick' or before. */
void tiny_wheel_turn(tiny_wheel *wheel, uint64_t tick);

/* Take the next node that is due, in order of ticks, and of adding where these are the same.
 * False when there is none. */
typedef struct tiny_wheel_due {
  tiny_due id; /* over by now */
  unsigned kind;
  uint64_t word;
} tiny_wheel_due;
bool tiny_wheel_take(tiny_wheel *wheel, tiny_wheel_due *due);

/* The low half of the id of a node that will be taken shortly, to have at hand what belongs to it; 0 when
 * that is not known. */
uint32_t tiny_wheel_soon(const tiny_wheel *wheel);

/* Let the due ones of a kind wait, or no longer, keeping their order. */
void tiny_wheel_hold(tiny_wheel *wheel, unsigned kind, bool held);

/* When to turn it next: the present tick when nodes are due, at or before the earliest one's
 * otherwise, TINY_WHEEL_NEVER when nothing will be due. */
uint64_t tiny_wheel_next(tiny_wheel *wheel);

/* Go over to ticks of another length, 'tick' being the present one: pending ticks become
 * rescale(data, tick), which must not change their order. O(pending). */
void tiny_wheel_rescale(tiny_wheel *wheel, uint64_t tick,
                        uint64_t (*rescale)(const void *data, uint64_t tick), const void *data);

#endif
