/* SPDX-License-Identifier: MIT
 * log_ring.c -- the bounded ring between the writers of lines and the log thread.
 *
 * One word holds it all: bit 63 closed, bits 32..62 where the next record goes,
 * bits 0..31 how much is in use, both in units of 8 bytes. So a claim, giving back
 * and rewinding are each one atomic step and no writer ever sees them half done.
 * Free memory is always zero: a record's 'units' turning non-zero says it is complete. */
#include "log_ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CLOSED    (1ull << 63)
#define SMALLEST  (256u * 1024)
#define OWN_BYTES 8192 /* room that only settings, levels and flushes may take */

static uint32_t head_of(uint64_t state) { return (uint32_t)(state >> 32) & 0x7fffffff; }
static uint32_t used_of(uint64_t state) { return (uint32_t)state; }
static uint64_t pack(uint32_t head, uint32_t used) { return (uint64_t)head << 32 | used; }

static uint32_t units_of(size_t extra) { return (uint32_t)((sizeof(tiny_record) + extra + 7) / 8); }

static tiny_record *at(const tiny_ring *ring, uint32_t unit) {
  return (tiny_record *)(ring->bytes + (size_t)unit * 8);
}

tiny_ring *tiny_ring_new(size_t bytes) {
  if (bytes < SMALLEST) bytes = SMALLEST;
  if (bytes > (size_t)8 << 30) bytes = (size_t)8 << 30;
  tiny_ring *ring = aligned_alloc(64, sizeof *ring);
  if (!ring) return NULL;
  memset(ring, 0, sizeof *ring);
  ring->units = (uint32_t)((bytes + OWN_BYTES) / 8);
  ring->limits[TINY_RANK_PLAIN] = (uint32_t)(bytes / 32 * 3);
  ring->limits[TINY_RANK_ERROR] = (uint32_t)(bytes / 8);
  ring->limits[TINY_RANK_OWN] = ring->units;
  ring->bytes = mmap(NULL, (size_t)ring->units * 8, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (ring->bytes != MAP_FAILED) return ring;
  free(ring);
  return NULL;
}

void tiny_ring_release(tiny_ring *ring) {
  if (ring->bytes) munmap(ring->bytes, (size_t)ring->units * 8);
  ring->bytes = NULL;
}

void tiny_ring_free(tiny_ring *ring) {
  if (!ring) return;
  tiny_ring_release(ring);
  free(ring);
}

static void pad(tiny_ring *ring, uint32_t head, uint32_t units) {
  at(ring, head)->kind = TINY_RECORD_PAD;
  atomic_store_explicit(&at(ring, head)->units, units, memory_order_release);
}

tiny_record *tiny_ring_claim(tiny_ring *ring, size_t extra, tiny_rank rank) {
  uint32_t units = units_of(extra), head, gap, used;
  uint64_t state = atomic_load(&ring->state), next;
  do {
    if (state & CLOSED) return TINY_RING_CLOSED;
    head = head_of(state);
    gap = head + units > ring->units ? ring->units - head : 0;
    used = used_of(state) + gap + units;
    if (used > ring->limits[rank]) return NULL;
    uint32_t after = gap ? units : head + units;
    next = pack(after == ring->units ? 0 : after, used);
  } while (!atomic_compare_exchange_weak(&ring->state, &state, next));
  if (gap) pad(ring, head, gap);
  return at(ring, gap ? 0 : head);
}

void tiny_ring_commit(tiny_record *record, size_t extra) {
  atomic_store_explicit(&record->units, units_of(extra), memory_order_release);
}

void tiny_ring_close(tiny_ring *ring) { atomic_fetch_or(&ring->state, CLOSED); }

size_t tiny_ring_used(const tiny_ring *ring) {
  return (size_t)used_of(atomic_load(&ring->state)) * 8;
}

bool tiny_ring_crowded(const tiny_ring *ring) {
  return used_of(atomic_load(&ring->state)) > ring->units / 4;
}

bool tiny_ring_finished(const tiny_ring *ring) {
  uint64_t state = atomic_load(&ring->state);
  return (state & CLOSED) && used_of(state) == 0;
}

tiny_record *tiny_ring_peek(tiny_ring *ring, uint32_t *ahead) {
  for (;;) {
    /* What is not in use must not be looked at: the reader itself may be all the way round. */
    uint64_t state = atomic_load_explicit(&ring->state, memory_order_acquire);
    if (used_of(state) == *ahead) return NULL;
    tiny_record *record = at(ring, ring->read);
    if (!atomic_load_explicit(&record->units, memory_order_acquire)) return NULL;
    if (record->kind != TINY_RECORD_PAD) return record;
    tiny_ring_pass(ring, record, ahead);
  }
}

void tiny_ring_pass(tiny_ring *ring, tiny_record *record, uint32_t *ahead) {
  uint32_t units = atomic_load_explicit(&record->units, memory_order_relaxed);
  size_t dirty = record->kind == TINY_RECORD_PAD ? 8 : (size_t)units * 8;
  memset((void *)record, 0, dirty);
  ring->read += units;
  if (ring->read == ring->units) ring->read = 0;
  *ahead += units;
}

void tiny_ring_give(tiny_ring *ring, uint32_t *ahead) {
  if (*ahead) atomic_fetch_sub(&ring->state, *ahead);
  *ahead = 0;
}

void tiny_ring_rewind(tiny_ring *ring) {
  uint64_t state = pack(ring->read, 0);
  if (atomic_compare_exchange_strong(&ring->state, &state, 0)) ring->read = 0;
}
