/* SPDX-License-Identifier: MIT
 * log_repeat.c -- a small table of what was written in this second, by a hash of 64 bits
 * with a secret seed: nobody outside can make two lines meet in it. */
#include "log_repeat.h"
#include "log_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS  1024u /* a power of two */
#define TRIES  4u    /* slots that a hash may lie in */
#define SECOND 1000000000u

typedef struct slot {
  uint64_t hash, since; /* since: ns since 1970, when its second began; 0: free */
  uint32_t count, held;
} slot;

/* What a held line looked like, to be told. */
typedef struct sample {
  char text[160], file[48];
  size_t text_size, file_size;
  uint32_t number;
  tiny_level level;
  bool whole;
} sample;

struct tiny_repeat {
  uint64_t seed[2];
  unsigned holding; /* slots that hold something */
  uint64_t due;     /* not after the end of the first of their seconds */
  char told[300];
  slot slots[SLOTS];
  sample samples[SLOTS]; /* touched only where lines are held */
};

tiny_repeat *tiny_repeat_new(void) {
  tiny_repeat *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  if (getrandom(r->seed, sizeof r->seed, GRND_NONBLOCK) < 0) r->seed[0] = (uintptr_t)r;
  r->due = UINT64_MAX;
  return r;
}

void tiny_repeat_free(tiny_repeat *repeat) { free(repeat); }

/* ---- hashing ---- */

/* Neither factor may ever be guessed, or made zero. */
static uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const char *text) {
  uint64_t word;
  memcpy(&word, text, 8);
  return word;
}

/* Short of 16 bytes: in two words that overlap or are zero in parts. */
static uint64_t mix_rest(uint64_t hash, uint64_t seed, const char *text, size_t size) {
  uint64_t a = size, b = 0;
  if (size >= 8) {
    a ^= word_at(text);
    b = word_at(text + size - 8);
  } else {
    for (size_t i = 0; i < size; i++) b = b << 8 | (unsigned char)text[i];
  }
  return mix(hash ^ a, seed ^ b);
}

static uint64_t mix_span(uint64_t hash, uint64_t seed, tiny_span span) {
  const char *text = span.text;
  size_t left = span.size;
  for (; left >= 16; text += 16, left -= 16) {
    hash = mix(hash ^ word_at(text), seed ^ word_at(text + 8));
  }
  return mix_rest(hash ^ span.size << 8, seed, text, left);
}

static uint64_t hash_of(const tiny_repeat *r, const tiny_line *line) {
  uint64_t hash = mix_span(mix(r->seed[0], r->seed[1] + line->level), r->seed[1], line->text);
  return line->fields.size ? mix_span(hash, r->seed[1], line->fields) : hash;
}

/* ---- the table ---- */

static bool is_over(const slot *s, uint64_t time) {
  return time - s->since >= SECOND; /* also when the clock was set back */
}

/* Whether 'a' can be spared rather than 'b': what is over first, then what was seen least. */
static bool is_spared(const slot *a, const slot *b, uint64_t time) {
  if (a->held || !b) return !a->held;
  if (is_over(a, time) != is_over(b, time)) return is_over(a, time);
  return a->count < b->count;
}

/* The line's own slot, else one that can be spared; NULL when all hold lines back. */
static slot *find(tiny_repeat *r, uint64_t hash, uint64_t time) {
  slot *spare = NULL;
  for (unsigned i = 0; i < TRIES; i++) {
    slot *s = &r->slots[(hash + i) & (SLOTS - 1)];
    if (s->hash == hash) return s;
    if (is_spared(s, spare, time)) spare = s;
  }
  if (spare) *spare = (slot){.hash = hash, .since = time};
  return spare;
}

static void keep_sample(tiny_repeat *r, const slot *s, const tiny_line *line) {
  sample *k = &r->samples[s - r->slots];
  k->whole = line->text.size <= sizeof k->text;
  k->text_size = k->whole ? line->text.size : tiny_text_cut(line->text.text, sizeof k->text);
  k->file_size = line->file.size < sizeof k->file ? line->file.size : sizeof k->file;
  memcpy(k->text, line->text.text, k->text_size);
  if (k->file_size) memcpy(k->file, line->file.text, k->file_size);
  k->number = line->number;
  k->level = line->level;
}

static void hold(tiny_repeat *r, slot *s, const tiny_line *line) {
  if (s->held++) return;
  keep_sample(r, s, line);
  r->holding++;
  if (s->since + SECOND < r->due) r->due = s->since + SECOND;
}

bool tiny_repeat_pass(tiny_repeat *r, uint32_t limit, const tiny_line *line) {
  slot *s = find(r, hash_of(r, line), line->time_ns);
  if (!s) return true;
  if (!s->held && is_over(s, line->time_ns)) {
    s->since = line->time_ns;
    s->count = 0;
  }
  if (s->count++ < limit) return true;
  hold(r, s, line);
  return false;
}

/* ---- telling ---- */

static void tell(tiny_repeat *r, slot *s, uint64_t time, tiny_line *line) {
  const sample *k = &r->samples[s - r->slots];
  int n = snprintf(r->told, sizeof r->told, "held back %u times within a second: ", s->held);
  char *end = r->told + sizeof r->told;
  char *at = tiny_text_raw(r->told + n, end, k->text, k->text_size);
  if (!k->whole) at = tiny_text_raw(at, end, "...", 3);
  *line = (tiny_line){.level = k->level,
                      .time_ns = time,
                      .number = k->number,
                      .text = {r->told, (size_t)(at - r->told)},
                      .file = {k->file, k->file_size}};
  s->held = s->count = 0;
  s->since = 0;
  r->holding--;
}

bool tiny_repeat_tell(tiny_repeat *r, uint64_t time, tiny_line *line) {
  uint64_t due = UINT64_MAX;
  bool early = time < r->due && r->due - time <= SECOND; /* or the clock was set back */
  if (early || !r->holding) return false;
  for (slot *s = r->slots; s < r->slots + SLOTS; s++) {
    if (!s->held) continue;
    if (time == UINT64_MAX || is_over(s, time)) {
      tell(r, s, time == UINT64_MAX ? s->since + SECOND : time, line);
      return true;
    }
    if (s->since + SECOND < due) due = s->since + SECOND;
  }
  r->due = due;
  return false;
}

uint64_t tiny_repeat_due(const tiny_repeat *r) { return r->holding ? r->due : UINT64_MAX; }
