/* SPDX-License-Identifier: MIT
 * profile.c -- folding stacks and counting them. All memory is taken at the beginning, as samples
 * come where Lua is in the middle of something. */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DEPTH = 64,
  LINE = 4096,
  ROWS = 1 << 14,        /* different stacks, a power of two */
  TEXT = 4 * 1024 * 1024 /* and their texts */
};

typedef struct row {
  uint32_t hash;
  uint32_t at; /* of its text */
  uint64_t samples;
} row;

struct tiny_profile {
  tiny_interrupt *interrupt;
  row rows[ROWS]; /* samples 0: free */
  unsigned used;
  uint64_t others; /* samples of stacks that found no room */
  size_t text_used;
  char text[TEXT]; /* untouched pages cost nothing */
};

/* A semicolon would end the frame, a line break the line. */
static void put_name(tiny_report *report, const char *name) {
  size_t from = report->used;
  tiny_report_put(report, name);
  for (size_t i = from; i < report->used; i++)
    if (report->text[i] == ';' || report->text[i] == '\n') report->text[i] = '_';
}

/* "spin app.lua:7": a function and where it is defined. */
static void put_function(tiny_report *report, const lua_Debug *frame) {
  if (frame->name) {
    put_name(report, frame->name);
    tiny_report_put(report, " ");
  }
  put_name(report, frame->short_src);
  if (frame->linedefined <= 0) return;
  tiny_report_put(report, ":");
  tiny_report_number(report, frame->linedefined);
}

static int depth_of(lua_State *L) {
  lua_Debug frame;
  int depth = 0;
  while (depth < DEPTH && lua_getstack(L, depth, &frame)) depth++;
  return depth;
}

/* The line within the innermost function, and what LuaJIT was busy with instead of it. */
static void put_leaf(tiny_report *report, const lua_Debug *innermost, int state) {
  if (innermost->currentline > 0) {
    tiny_report_put(report, ";line ");
    tiny_report_number(report, innermost->currentline);
  }
  if (state == 'G') tiny_report_put(report, ";(collecting garbage)");
  if (state == 'J') tiny_report_put(report, ";(compiling)");
  if (state == 'C') tiny_report_put(report, ";(in C)");
}

static void fold(tiny_report *report, lua_State *L, int state) {
  lua_Debug frame = {.currentline = -1};
  int depth = depth_of(L);
  if (depth == DEPTH) tiny_report_put(report, "...;");
  for (int level = depth - 1; level >= 0; level--) {
    if (!lua_getstack(L, level, &frame) || !lua_getinfo(L, "nSl", &frame)) break;
    put_function(report, &frame);
    if (level > 0) tiny_report_put(report, ";");
  }
  put_leaf(report, &frame, state);
}

static uint32_t hash_of(const char *text) {
  uint32_t hash = 2166136261u;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 16777619u;
  return hash;
}

static row *find(tiny_profile *p, uint32_t hash, const char *text) {
  row *r = &p->rows[hash & (ROWS - 1)];
  while (r->samples && (r->hash != hash || strcmp(p->text + r->at, text) != 0))
    r = r == &p->rows[ROWS - 1] ? p->rows : r + 1;
  return r;
}

/* A new stack, if there is room: the table stays a quarter empty. */
static void settle(tiny_profile *p, row *r, uint32_t hash, const tiny_report *report, int samples) {
  if (p->used > ROWS / 4 * 3 || p->text_used + report->used + 1 > TEXT) {
    p->others += (uint64_t)samples;
    return;
  }
  *r = (row){hash, (uint32_t)p->text_used, (uint64_t)samples};
  memcpy(p->text + p->text_used, report->text, report->used + 1);
  p->text_used += report->used + 1;
  p->used++;
}

static void on_sample(void *data, lua_State *running, int samples, int state) {
  tiny_profile *p = data;
  char line[LINE];
  tiny_report report = tiny_report_begin(line, sizeof line);
  fold(&report, running, state);
  uint32_t hash = hash_of(line);
  row *r = find(p, hash, line);
  if (r->samples)
    r->samples += (uint64_t)samples;
  else if (samples > 0)
    settle(p, r, hash, &report, samples);
}

tiny_profile *tiny_profile_begin(tiny_interrupt *interrupt, uint64_t span_ns) {
  tiny_profile *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->interrupt = interrupt;
  tiny_interrupt_sample(interrupt, on_sample, p, span_ns);
  return p;
}

char *tiny_profile_end(tiny_profile *p) {
  char *text = NULL;
  size_t size;
  tiny_interrupt_sample(p->interrupt, NULL, NULL, 0);
  FILE *out = open_memstream(&text, &size);
  for (int i = 0; out && i < ROWS; i++)
    if (p->rows[i].samples)
      fprintf(out, "%s %llu\n", p->text + p->rows[i].at, (unsigned long long)p->rows[i].samples);
  if (out && p->others) fprintf(out, "(other stacks) %llu\n", (unsigned long long)p->others);
  if (out) fclose(out);
  free(p);
  return text;
}
