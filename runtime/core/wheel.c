/* SPDX-License-Identifier: MIT
 * wheel.c -- Level 0 has a slot for each of the next 256 ticks, level 1 one for each 256 of
 * these, and so on: a node's level is that of the highest byte in which its tick differs from
 * the wheel's present one. When the wheel enters a slot of a higher level its nodes move down.
 *
 * The nodes live in one growing array and are linked by index. The first of them are the heads
 * of rings, so that linking and unlinking need no special cases. */
#include "wheel.h"

#include <assert.h>
#include <stdlib.h>

enum {
  LEVELS = TINY_WHEEL_LEVELS, /* of one byte each: TICK_BITS */
  SLOTS = TINY_WHEEL_SLOTS,
  DUE = LEVELS * SLOTS,            /* head of the ring of nodes that are due */
  HELD,                            /* heads of those that are due and held, one for each kind */
  SPARE = HELD + TINY_WHEEL_KINDS, /* head of the ring that rescaling uses */
  FIRST,                           /* index of the first node that is not a head */
  FREE = TINY_WHEEL_KINDS,         /* kind of a node that is nobody's */
  TICK_BITS = 48,
  KIND_BITS = 3,
  TAG_BITS = 13,
  SCAN = 16 /* nodes looked at to find the earliest of a slot */
};

struct tiny_wheel_node {
  uint32_t next, prev; /* a free node's next is the next free one */
  uint64_t tick : TICK_BITS;
  uint64_t kind : KIND_BITS;
  uint64_t tag : TAG_BITS; /* counts the uses of this node */
  uint64_t word;
};
typedef tiny_wheel_node node;

static_assert(sizeof(node) == 24, "a million of them should stay small");
static_assert(FREE < 1 << KIND_BITS, "a kind must fit its bits");

/* -- rings ----------------------------------------------------------------- */

static void ring_init(tiny_wheel *wheel, uint32_t head) {
  wheel->nodes[head].next = wheel->nodes[head].prev = head;
}

static bool ring_empty(const tiny_wheel *wheel, uint32_t head) {
  return wheel->nodes[head].next == head;
}

static void link_last(tiny_wheel *wheel, uint32_t head, uint32_t index) {
  node *nodes = wheel->nodes;
  uint32_t last = nodes[head].prev;
  nodes[index].next = head;
  nodes[index].prev = last;
  nodes[last].next = nodes[head].prev = index;
}

static void unlink_node(tiny_wheel *wheel, uint32_t index) {
  node *nodes = wheel->nodes;
  nodes[nodes[index].prev].next = nodes[index].next;
  nodes[nodes[index].next].prev = nodes[index].prev;
}

/* Append all of 'from' to 'to', in order. */
static void move_all(tiny_wheel *wheel, uint32_t from, uint32_t to) {
  node *nodes = wheel->nodes;
  uint32_t first = nodes[from].next, last = nodes[from].prev, end = nodes[to].prev;
  if (first == from) return;
  nodes[end].next = first;
  nodes[first].prev = end;
  nodes[last].next = to;
  nodes[to].prev = last;
  ring_init(wheel, from);
}

/* -- slots ----------------------------------------------------------------- */

static uint32_t head_of(unsigned level, unsigned slot) { return level * SLOTS + slot; }

/* Put a node where its tick belongs, seen from the wheel's present one. */
static void place(tiny_wheel *wheel, uint32_t index) {
  node *n = &wheel->nodes[index];
  uint64_t tick = n->tick > wheel->tick ? n->tick : wheel->tick;
  uint64_t differs = tick ^ wheel->tick;
  unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / 8 : 0;
  unsigned slot = tick >> (8 * level) & (SLOTS - 1);
  link_last(wheel, head_of(level, slot), index);
  wheel->full[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

/* The first slot of a level, from 'slot' on, that has nodes; SLOTS when none has.
 * Removing leaves the marks of emptied slots behind; they are wiped here. */
static unsigned full_slot(tiny_wheel *wheel, unsigned level, unsigned slot) {
  while (slot < SLOTS) {
    uint64_t *word = &wheel->full[level][slot / 64];
    uint64_t rest = *word & ~UINT64_C(0) << slot % 64;
    if (!rest) {
      slot = (slot / 64 + 1) * 64;
      continue;
    }
    slot = slot / 64 * 64 + (unsigned)__builtin_ctzll(rest);
    if (!ring_empty(wheel, head_of(level, slot))) return slot;
    *word &= ~(UINT64_C(1) << slot % 64);
  }
  return SLOTS;
}

/* The next slot that has nodes; those of a lower level are always sooner. Returns the tick
 * at which it begins, NEVER when there is none. */
static uint64_t next_slot(tiny_wheel *wheel, unsigned *level, unsigned *slot) {
  for (*level = 0; *level < LEVELS; ++*level) {
    unsigned shift = 8 * *level;
    *slot = full_slot(wheel, *level, wheel->tick >> shift & (SLOTS - 1));
    if (*slot < SLOTS) return (wheel->tick >> shift >> 8 << 8 | *slot) << shift;
  }
  return TINY_WHEEL_NEVER;
}

/* Empty a slot of a higher level into the lower ones. */
static void cascade(tiny_wheel *wheel, uint32_t head) {
  uint32_t index = wheel->nodes[head].next;
  ring_init(wheel, head);
  while (index != head) {
    uint32_t next = wheel->nodes[index].next;
    __builtin_prefetch(&wheel->nodes[wheel->nodes[next].next]);
    place(wheel, index);
    index = next;
  }
}

void tiny_wheel_turn(tiny_wheel *wheel, uint64_t tick) {
  unsigned level, slot;
  uint64_t begin;
  while ((begin = next_slot(wheel, &level, &slot)) <= tick) {
    wheel->tick = begin;
    if (level == 0)
      move_all(wheel, head_of(0, slot), DUE);
    else
      cascade(wheel, head_of(level, slot));
  }
  if (tick > wheel->tick) wheel->tick = tick;
}

/* The earliest node's tick where it is found in a few steps, else when its slot begins and
 * has to be sorted out anyway. */
uint64_t tiny_wheel_next(tiny_wheel *wheel) {
  if (!ring_empty(wheel, DUE)) return wheel->tick;
  unsigned level, slot;
  uint64_t begin = next_slot(wheel, &level, &slot), earliest = TINY_WHEEL_NEVER;
  if (begin == TINY_WHEEL_NEVER || level == 0) return begin;
  uint32_t head = head_of(level, slot), index = wheel->nodes[head].next;
  for (int i = 0; index != head; i++, index = wheel->nodes[index].next) {
    if (i == SCAN) return begin;
    if (wheel->nodes[index].tick < earliest) earliest = wheel->nodes[index].tick;
  }
  return earliest;
}

/* -- nodes ----------------------------------------------------------------- */

static int grow(tiny_wheel *wheel) {
  uint32_t size = wheel->size + wheel->size / 2;
  node *nodes = size > wheel->size ? realloc(wheel->nodes, size * sizeof *nodes) : NULL;
  if (!nodes) return -1;
  wheel->nodes = nodes;
  wheel->size = size;
  return 0;
}

/* Returns the index of a node that is nobody's, 0 when out of memory. */
static uint32_t take_node(tiny_wheel *wheel) {
  uint32_t index = wheel->free;
  if (index) {
    wheel->free = wheel->nodes[index].next;
    return index;
  }
  if (wheel->used == wheel->size && grow(wheel) != 0) return 0;
  wheel->nodes[wheel->used].tag = 0;
  return wheel->used++;
}

static void give_node(tiny_wheel *wheel, uint32_t index) {
  node *n = &wheel->nodes[index];
  unlink_node(wheel, index);
  n->kind = FREE;
  n->tag++;
  n->next = wheel->free;
  wheel->free = index;
  wheel->pending--;
}

static tiny_due id_of(const tiny_wheel *wheel, uint32_t index) {
  return (tiny_due)wheel->nodes[index].tag << 32 | index;
}

int tiny_wheel_open(tiny_wheel *wheel, uint64_t tick) {
  *wheel = (tiny_wheel){.tick = tick, .used = FIRST, .size = FIRST + 64};
  wheel->nodes = malloc(wheel->size * sizeof *wheel->nodes);
  if (!wheel->nodes) return -1;
  for (uint32_t head = 0; head < FIRST; head++) ring_init(wheel, head);
  return 0;
}

void tiny_wheel_close(tiny_wheel *wheel) { free(wheel->nodes); }

tiny_due tiny_wheel_add(tiny_wheel *wheel, uint64_t tick, unsigned kind, uint64_t word) {
  uint32_t index = take_node(wheel);
  if (!index) return 0;
  node *n = &wheel->nodes[index];
  n->tick = tick;
  n->kind = kind;
  n->word = word;
  place(wheel, index);
  wheel->pending++;
  return id_of(wheel, index);
}

bool tiny_wheel_remove(tiny_wheel *wheel, tiny_due id) {
  uint32_t index = (uint32_t)id;
  if (index < FIRST || index >= wheel->used || id_of(wheel, index) != id) return false;
  if (wheel->nodes[index].kind == FREE) return false;
  give_node(wheel, index);
  return true;
}

void tiny_wheel_forget(tiny_wheel *wheel, unsigned kind, uint64_t word) {
  for (uint32_t index = FIRST; index < wheel->used; index++)
    if (wheel->nodes[index].kind == kind && wheel->nodes[index].word == word)
      give_node(wheel, index);
}

bool tiny_wheel_take(tiny_wheel *wheel, tiny_wheel_due *due) {
  while (!ring_empty(wheel, DUE)) {
    uint32_t index = wheel->nodes[DUE].next;
    node *n = &wheel->nodes[index];
    if (wheel->held >> n->kind & 1) {
      unlink_node(wheel, index);
      link_last(wheel, HELD + n->kind, index);
      continue;
    }
    *due = (tiny_wheel_due){id_of(wheel, index), n->kind, n->word};
    give_node(wheel, index);
    return true;
  }
  return false;
}

/* The one after the next is known without touching it. */
uint32_t tiny_wheel_soon(const tiny_wheel *wheel) {
  uint32_t index = wheel->nodes[wheel->nodes[DUE].next].next;
  __builtin_prefetch(&wheel->nodes[index], 1);
  return index < FIRST ? 0 : index;
}

void tiny_wheel_hold(tiny_wheel *wheel, unsigned kind, bool held) {
  wheel->held = held ? wheel->held | 1u << kind : wheel->held & ~(1u << kind);
  if (!held) move_all(wheel, HELD + kind, DUE);
}

/* Equal ones keep their order: they are together in one slot. */
void tiny_wheel_rescale(tiny_wheel *wheel, uint64_t tick,
                        uint64_t (*rescale)(const void *data, uint64_t tick), const void *data) {
  for (uint32_t head = 0; head < DUE; head++) move_all(wheel, head, SPARE);
  wheel->tick = tick;
  while (!ring_empty(wheel, SPARE)) {
    uint32_t index = wheel->nodes[SPARE].next;
    unlink_node(wheel, index);
    wheel->nodes[index].tick = rescale(data, wheel->nodes[index].tick);
    place(wheel, index);
  }
}
