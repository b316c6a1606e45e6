/* SPDX-License-Identifier: MIT
 * timers.c -- the wheel. Due times are counted in ticks of one precision span. Level 0
 * has a slot for each of the next 256 ticks, level 1 one for each 256 of these, and so on:
 * a node's level is that of the highest byte in which its tick differs from the wheel's
 * present one. When the wheel enters a slot of a higher level its nodes move down.
 *
 * The nodes live in one growing array and are linked by index. The first few are the heads
 * of the slots' rings, so that linking and unlinking need no special cases.
 *
 * A timerfd wakes the loop: uv_timer counts in whole milliseconds and is late by 0.6 of
 * them in the median, this one by 0.05. It is set to relative times, because libfaketime
 * takes every absolute one for wall time. */
#include "timers.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
  LEVELS = 6, /* of one byte each: TICK_BITS */
  SLOTS = 256,
  FIRING = LEVELS * SLOTS, /* head of the ring of nodes that are due */
  SPARE,                   /* head of the ring that precision changes use */
  FIRST,                   /* index of the first node that is not a head */
  TICK_BITS = 48,
  KIND_BITS = 2,
  TAG_BITS = 14,
  FREE = TINY_DUE_KINDS, /* kind of a node that is nobody's */
  BATCH = 4096,          /* nodes fired before I/O gets its turn */
  SCAN = 16              /* nodes looked at to find the earliest of a slot */
};
#define LAST_TICK  ((UINT64_C(1) << TICK_BITS) - 1)
#define NEVER      UINT64_MAX
#define SPAN_LEAST 10000

static_assert(FREE < 1 << KIND_BITS, "a kind must fit its bits");

typedef struct node {
  uint32_t next, prev; /* a free node's next is the next free one */
  uint64_t tick : TICK_BITS;
  uint64_t kind : KIND_BITS;
  uint64_t tag : TAG_BITS; /* counts the uses of this node */
  uint64_t word;
} node;

static_assert(sizeof(node) == 24, "a million of them should stay small");

typedef struct handler {
  tiny_due_fn fn;
  void *data;
} handler;

struct tiny_timers {
  uv_poll_t wake;
  int fd;
  bool closing;
  uint64_t span;     /* ns in a tick */
  uint64_t tick;     /* the wheel's present one: all before it have fired */
  uint64_t armed_ns; /* what the fd is set to, NEVER when it is not */
  node *nodes;
  uint32_t used, size; /* nodes ever used, nodes allocated; heads included */
  uint32_t free;       /* first free node, 0 when there is none */
  uint32_t pending;
  uint64_t full[LEVELS][SLOTS / 64]; /* slots that may have nodes */
  handler handlers[TINY_DUE_KINDS];
};

uint64_t tiny_timers_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Rings. */

static void ring_init(tiny_timers *timers, uint32_t head) {
  timers->nodes[head].next = timers->nodes[head].prev = head;
}

static bool ring_empty(const tiny_timers *timers, uint32_t head) {
  return timers->nodes[head].next == head;
}

static void link_last(tiny_timers *timers, uint32_t head, uint32_t index) {
  node *nodes = timers->nodes;
  uint32_t last = nodes[head].prev;
  nodes[index].next = head;
  nodes[index].prev = last;
  nodes[last].next = nodes[head].prev = index;
}

static void unlink_node(tiny_timers *timers, uint32_t index) {
  node *nodes = timers->nodes;
  nodes[nodes[index].prev].next = nodes[index].next;
  nodes[nodes[index].next].prev = nodes[index].prev;
}

/* Append all of 'from' to 'to', in order. */
static void move_all(tiny_timers *timers, uint32_t from, uint32_t to) {
  node *nodes = timers->nodes;
  uint32_t first = nodes[from].next, last = nodes[from].prev, end = nodes[to].prev;
  if (first == from) return;
  nodes[end].next = first;
  nodes[first].prev = end;
  nodes[last].next = to;
  nodes[to].prev = last;
  ring_init(timers, from);
}

/* Slots. */

static uint32_t head_of(unsigned level, unsigned slot) { return level * SLOTS + slot; }

/* Put a node where its tick belongs, seen from the wheel's present one. */
static void place(tiny_timers *timers, uint32_t index) {
  node *n = &timers->nodes[index];
  uint64_t tick = n->tick > timers->tick ? n->tick : timers->tick;
  uint64_t differs = tick ^ timers->tick;
  unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / 8 : 0;
  unsigned slot = tick >> (8 * level) & (SLOTS - 1);
  link_last(timers, head_of(level, slot), index);
  timers->full[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

/* The first slot of a level, from 'slot' on, that has nodes; SLOTS when none has.
 * Removing leaves the marks of emptied slots behind; they are wiped here. */
static unsigned full_slot(tiny_timers *timers, unsigned level, unsigned slot) {
  while (slot < SLOTS) {
    uint64_t *word = &timers->full[level][slot / 64];
    uint64_t rest = *word & ~UINT64_C(0) << slot % 64;
    if (!rest) {
      slot = (slot / 64 + 1) * 64;
      continue;
    }
    slot = slot / 64 * 64 + (unsigned)__builtin_ctzll(rest);
    if (!ring_empty(timers, head_of(level, slot))) return slot;
    *word &= ~(UINT64_C(1) << slot % 64);
  }
  return SLOTS;
}

/* The next slot that has nodes. Those of a lower level are always sooner. Returns the tick
 * at which it begins, NEVER when there is none. */
static uint64_t next_slot(tiny_timers *timers, unsigned *level, unsigned *slot) {
  for (*level = 0; *level < LEVELS; ++*level) {
    unsigned shift = 8 * *level;
    unsigned present = timers->tick >> shift & (SLOTS - 1);
    *slot = full_slot(timers, *level, present);
    if (*slot == SLOTS) continue;
    return (timers->tick >> shift >> 8 << 8 | *slot) << shift;
  }
  return NEVER;
}

/* When to wake up next: at the earliest node's tick where it is found in a few steps,
 * else when its slot begins and has to be sorted out anyway. */
static uint64_t next_tick(tiny_timers *timers) {
  unsigned level, slot;
  uint64_t begin = next_slot(timers, &level, &slot), earliest = NEVER;
  if (begin == NEVER || level == 0) return begin;
  uint32_t head = head_of(level, slot), index = timers->nodes[head].next;
  for (int i = 0; index != head; i++, index = timers->nodes[index].next) {
    if (i == SCAN) return begin;
    if (timers->nodes[index].tick < earliest) earliest = timers->nodes[index].tick;
  }
  return earliest;
}

/* Empty a slot of a higher level into the lower ones. */
static void cascade(tiny_timers *timers, uint32_t head) {
  while (!ring_empty(timers, head)) {
    uint32_t index = timers->nodes[head].next;
    unlink_node(timers, index);
    place(timers, index);
  }
}

/* Turn the wheel to 'tick', taking what has become due into the ring of firing ones. */
static void turn(tiny_timers *timers, uint64_t tick) {
  unsigned level, slot;
  uint64_t begin;
  while ((begin = next_slot(timers, &level, &slot)) <= tick) {
    timers->tick = begin;
    if (level == 0)
      move_all(timers, head_of(0, slot), FIRING);
    else
      cascade(timers, head_of(level, slot));
  }
  if (tick > timers->tick) timers->tick = tick;
}

/* The array of nodes. */

static int grow(tiny_timers *timers) {
  uint32_t size = timers->size + timers->size / 2;
  node *nodes = size > timers->size ? realloc(timers->nodes, size * sizeof *nodes) : NULL;
  if (!nodes) return -1;
  timers->nodes = nodes;
  timers->size = size;
  return 0;
}

/* Returns the index of a node that is nobody's, 0 when out of memory. */
static uint32_t take_node(tiny_timers *timers) {
  uint32_t index = timers->free;
  if (index) {
    timers->free = timers->nodes[index].next;
    return index;
  }
  if (timers->used == timers->size && grow(timers) != 0) return 0;
  timers->nodes[timers->used].tag = 0;
  return timers->used++;
}

static void give_node(tiny_timers *timers, uint32_t index) {
  node *n = &timers->nodes[index];
  n->kind = FREE;
  n->tag++;
  n->next = timers->free;
  timers->free = index;
  if (--timers->pending == 0) uv_unref((uv_handle_t *)&timers->wake);
}

/* The fd. */

static void arm(tiny_timers *timers, uint64_t due_ns) {
  struct itimerspec when = {{0, 0}, {0, 0}};
  uint64_t now = due_ns == NEVER ? 0 : tiny_timers_now();
  uint64_t wait = due_ns > now ? due_ns - now : 1;
  if (due_ns != NEVER) {
    when.it_value.tv_sec = (time_t)(wait / 1000000000);
    when.it_value.tv_nsec = (long)(wait % 1000000000);
  }
  timers->armed_ns = due_ns;
  timerfd_settime(timers->fd, 0, &when, NULL); /* takes back an unread expiration, too */
}

static void arm_next(tiny_timers *timers) {
  uint64_t tick = next_tick(timers);
  if (!ring_empty(timers, FIRING)) tick = timers->tick;
  arm(timers, tick == NEVER ? NEVER : tick * timers->span);
}

/* Fire what is in the ring by now, but leave the loop its turn after a batch. A handler may
 * add (the array moves), remove (the ring shrinks) and close. */
static void fire(tiny_timers *timers, uint64_t now) {
  for (int i = 0; i < BATCH && !timers->closing && !ring_empty(timers, FIRING); i++) {
    uint32_t index = timers->nodes[FIRING].next;
    handler h = timers->handlers[timers->nodes[index].kind];
    uint64_t word = timers->nodes[index].word;
    unlink_node(timers, index);
    give_node(timers, index);
    h.fn(h.data, word, now);
  }
}

static void on_wake(uv_poll_t *handle, int status, int events) {
  tiny_timers *timers = handle->data;
  uint64_t now = tiny_timers_now();
  (void)status, (void)events;
  turn(timers, now / timers->span);
  fire(timers, now);
  if (!timers->closing) arm_next(timers);
}

/* For users. */

/* Centuries are cut short, so that a tick always fits its bits and can be told in ns. */
static uint64_t tick_of(const tiny_timers *timers, uint64_t due_ns) {
  uint64_t tick = due_ns / timers->span + (due_ns % timers->span != 0);
  uint64_t last = NEVER / timers->span;
  if (last > LAST_TICK) last = LAST_TICK;
  return tick < last ? tick : last;
}

static tiny_timers *open_nodes(void) {
  tiny_timers *timers = calloc(1, sizeof *timers);
  if (!timers) return NULL;
  timers->used = FIRST;
  timers->size = FIRST + 64;
  timers->nodes = malloc(timers->size * sizeof *timers->nodes);
  timers->span = 1000000;
  timers->tick = tiny_timers_now() / timers->span;
  timers->armed_ns = NEVER;
  timers->fd = -1;
  for (uint32_t head = 0; timers->nodes && head < FIRST; head++) ring_init(timers, head);
  return timers;
}

static void free_nodes(tiny_timers *timers) {
  if (timers->fd >= 0) close(timers->fd);
  free(timers->nodes);
  free(timers);
}

tiny_timers *tiny_timers_open(uv_loop_t *loop) {
  tiny_timers *timers = open_nodes();
  if (!timers) return NULL;
  timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (!timers->nodes || timers->fd < 0 || uv_poll_init(loop, &timers->wake, timers->fd) != 0) {
    free_nodes(timers);
    return NULL;
  }
  timers->wake.data = timers;
  uv_poll_start(&timers->wake, UV_READABLE, on_wake);
  uv_unref((uv_handle_t *)&timers->wake);
  return timers;
}

/* Equal ones keep their order: they are together in one slot. */
void tiny_timers_precision(tiny_timers *timers, uint64_t span_ns) {
  uint64_t old = timers->span;
  for (uint32_t head = 0; head < FIRING; head++) move_all(timers, head, SPARE);
  timers->span = span_ns > SPAN_LEAST ? span_ns : SPAN_LEAST;
  timers->tick = tiny_timers_now() / timers->span;
  while (!ring_empty(timers, SPARE)) {
    uint32_t index = timers->nodes[SPARE].next;
    unlink_node(timers, index);
    timers->nodes[index].tick = tick_of(timers, timers->nodes[index].tick * old);
    place(timers, index);
  }
  arm_next(timers);
}

uint64_t tiny_timers_round(const tiny_timers *timers, uint64_t due_ns) {
  return tick_of(timers, due_ns) * timers->span;
}

void tiny_timers_handle(tiny_timers *timers, tiny_due_kind kind, tiny_due_fn fn, void *data) {
  timers->handlers[kind] = (handler){fn, data};
}

tiny_due tiny_timers_add(tiny_timers *timers, uint64_t due_ns, tiny_due_kind kind, uint64_t word) {
  uint32_t index = take_node(timers);
  if (!index) return 0;
  if (timers->pending++ == 0) {
    uv_ref((uv_handle_t *)&timers->wake);
    timers->tick = tiny_timers_now() / timers->span; /* it stood still while empty */
  }
  node *n = &timers->nodes[index];
  n->tick = tick_of(timers, due_ns);
  n->kind = kind;
  n->word = word;
  place(timers, index);
  uint64_t wake_ns = n->tick * timers->span;
  if (wake_ns < timers->armed_ns) arm(timers, wake_ns);
  return (tiny_due)n->tag << 32 | index;
}

/* A fd that is set too soon wakes the loop once for nothing; a system call here would
 * cost every timeout that is not needed in the end. */
void tiny_timers_remove(tiny_timers *timers, tiny_due id) {
  uint32_t index = (uint32_t)id;
  if (index < FIRST || index >= timers->used || timers->nodes[index].tag != id >> 32) return;
  if (timers->nodes[index].kind == FREE) return;
  unlink_node(timers, index);
  give_node(timers, index);
}

uint32_t tiny_timers_pending(const tiny_timers *timers) { return timers->pending; }

static void on_close(uv_handle_t *handle) { free_nodes(handle->data); }

void tiny_timers_close(tiny_timers *timers) {
  timers->closing = true;
  uv_close((uv_handle_t *)&timers->wake, on_close);
}
