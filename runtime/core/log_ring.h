/* SPDX-License-Identifier: MIT
 * log_ring.h -- records of any size from many writers to one reader, in bounded
 * memory. Nobody waits: a writer claims its place with one compare-and-swap. */
#ifndef TINY_LOG_RING_H
#define TINY_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tiny_record_kind {
  TINY_RECORD_PAD = 1,  /* skips the rest of the ring */
  TINY_RECORD_LINE,     /* text, file, func, thread and fields follow, in this order */
  TINY_RECORD_SETTINGS, /* word: a tiny_log_settings to put in force */
  TINY_RECORD_LEVEL,    /* word: a sink's index; level: its new level */
  TINY_RECORD_REOPEN,   /* open the log files again */
  TINY_RECORD_FLUSH     /* word: the ticket of who waits; level: a tiny_log_how */
} tiny_record_kind;

/* What a flush is for: lines handed to the sinks, or as good as out of the house. */
typedef enum tiny_log_how { TINY_LOG_ALL, TINY_LOG_LAST } tiny_log_how;

typedef struct tiny_record {
  _Atomic uint32_t units; /* whole size in units of 8 bytes; 0 until it is complete */
  uint8_t kind, level;
  uint8_t file_size, func_size;
  uint32_t text_size;
  uint16_t fields_size;
  uint8_t thread_size;
  uint32_t line;
  uint32_t lost; /* how many lines had found the ring full by then, modulo 2^32 */
  uint64_t word; /* a line's time in ns since 1970, or as the kind says */
  char bytes[];
} tiny_record;

/* What may fill how much: a quarter is kept for errors, a little more for the log's own needs. */
typedef enum tiny_rank { TINY_RANK_PLAIN, TINY_RANK_ERROR, TINY_RANK_OWN } tiny_rank;

typedef struct tiny_ring {
  _Alignas(64) _Atomic uint64_t state; /* closed, head, used: see log_ring.c */
  _Alignas(64) char *bytes;
  uint32_t units;
  uint32_t limits[3];         /* by rank */
  struct tiny_ring *next;     /* took its place; set before this one is closed */
  _Alignas(64) uint32_t read; /* the reader's place, in units; it moves with each record */
} tiny_ring;

/* Returns a ring that holds 'bytes' (256 KB at least), or NULL. */
tiny_ring *tiny_ring_new(size_t bytes);
void tiny_ring_free(tiny_ring *ring);    /* NULL is allowed */
void tiny_ring_release(tiny_ring *ring); /* only its memory; late writers still find it closed */

/* Claim a record of sizeof(tiny_record) + 'extra' bytes, zeroed but for what the
 * caller must fill before tiny_ring_commit(). Returns NULL when there is no room
 * for this rank, or TINY_RING_CLOSED. Any thread. */
#define TINY_RING_CLOSED ((tiny_record *)-1)
tiny_record *tiny_ring_claim(tiny_ring *ring, size_t extra, tiny_rank rank);
void tiny_ring_commit(tiny_record *record, size_t extra);

/* No claim succeeds from now on. Any thread. */
void tiny_ring_close(tiny_ring *ring);

/* Bytes claimed and not yet given back, and whether that is more than a quarter. Any thread. */
size_t tiny_ring_used(const tiny_ring *ring);
bool tiny_ring_crowded(const tiny_ring *ring);

/* The reader's next record, NULL while there is none or it is not complete. 'ahead' is
 * how many units it has read since it last gave back, and is advanced over pads. */
tiny_record *tiny_ring_peek(tiny_ring *ring, uint32_t *ahead);

/* Step over the record that was peeked and wipe it. */
void tiny_ring_pass(tiny_ring *ring, tiny_record *record, uint32_t *ahead);

/* Give what was read back to the writers. */
void tiny_ring_give(tiny_ring *ring, uint32_t *ahead);

/* With everything read and given back: begin again at the front, so that a quiet
 * log touches little memory. */
void tiny_ring_rewind(tiny_ring *ring);

/* Closed, and nothing left in it. */
bool tiny_ring_finished(const tiny_ring *ring);

#endif
