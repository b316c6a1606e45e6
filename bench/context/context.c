/* SPDX-License-Identifier: MIT
 * context.c -- how long a context of 100,000 records of 5 fields takes from state to state.
 *
 *   context [records] [rounds]
 *
 * Prints what packing (the loop waits for it) and unpacking (it need not) take, and string.buffer
 * for the same table: the CPU's time, and in brackets the clock's. The first rounds take their
 * memory from the kernel, page by page; see "most" for these. */
#include "carry.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char make_records[] = "local n, records = ..., {}\n"
                                   "for i = 1, n do\n"
                                   "  records[i] = {id = i, name = 'name ' .. i, mail = i .. "
                                   "'@example.com', note = 'note of ' .. i,\n"
                                   "    balance = i * 1.25}\n"
                                   "end\n"
                                   "return records";

static const char check_records[] =
    "local n, records = ...\n"
    "assert(#records == n)\n"
    "for i = 1, n do\n"
    "  local r = records[i]\n"
    "  assert(r.id == i and r.mail == i .. '@example.com' and r.balance == i * 1.25)\n"
    "end";

static const char use_buffer[] =
    "local buffer, records, encode = require 'string.buffer', ...\n"
    "return encode and buffer.encode(records) or buffer.decode(records)";

typedef struct span {
  double cpu_ms, wall_ms;
} span;

static double now_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static span start(void) { return (span){now_ms(CLOCK_THREAD_CPUTIME_ID), now_ms(CLOCK_MONOTONIC)}; }

static span since(span then) {
  span now = start();
  return (span){now.cpu_ms - then.cpu_ms, now.wall_ms - then.wall_ms};
}

static span sum(span a, span b) { return (span){a.cpu_ms + b.cpu_ms, a.wall_ms + b.wall_ms}; }

static int by_cpu(const void *a, const void *b) {
  double x = ((const span *)a)->cpu_ms, y = ((const span *)b)->cpu_ms;
  return (x > y) - (x < y);
}

/* For bench/run, see bench/figures.py. */
static void print_figure(const char *name, const span *spans, int count) {
  printf("figure context.%s ms", name);
  for (int i = 0; i < count; i++) printf(" %.4g", spans[i].cpu_ms);
  printf("\nfigure context.wall_%s ms", name);
  for (int i = 0; i < count; i++) printf(" %.4g", spans[i].wall_ms);
  printf("\n");
}

static void print_spans(const char *what, span *spans, int count) {
  qsort(spans, (size_t)count, sizeof *spans, by_cpu);
  const span *least = &spans[0], *middle = &spans[count / 2], *most = &spans[count - 1];
  printf("%-21s median %6.1f (%6.1f) ms   least %6.1f (%6.1f)   most %6.1f (%6.1f)\n", what,
         middle->cpu_ms, middle->wall_ms, least->cpu_ms, least->wall_ms, most->cpu_ms,
         most->wall_ms);
}

static void check(lua_State *L, int status) {
  if (status == 0) return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  exit(1);
}

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  if (!L) exit(1);
  luaL_openlibs(L);
  return L;
}

static lua_State *state_with_records(int records) {
  lua_State *L = new_state();
  check(L, luaL_loadstring(L, make_records));
  lua_pushinteger(L, records);
  check(L, lua_pcall(L, 1, 1, 0));
  lua_gc(L, LUA_GCCOLLECT, 0);
  return L;
}

static void check_carried(lua_State *to, int records) {
  check(to, luaL_loadstring(to, check_records));
  lua_pushinteger(to, records);
  lua_pushvalue(to, 1);
  check(to, lua_pcall(to, 2, 0, 0));
}

/* Carry once. Returns the parcel's size. */
static size_t carry_round(lua_State *from, int records, span *pack, span *unpack) {
  static const tiny_carry_terms terms = {.name = "context"};
  char why[200];
  tiny_parcel parcel;
  lua_State *to = new_state();
  span then = start();
  if (tiny_carry_pack(from, -1, &terms, &parcel, why, sizeof why) != 0) exit(1);
  *pack = since(then);
  then = start();
  if (tiny_carry_unpack(to, &parcel, &terms, why, sizeof why) != 0) exit(1);
  *unpack = since(then);
  check_carried(to, records);
  lua_close(to);
  free(parcel.bytes);
  return parcel.size;
}

/* The same by string.buffer: encode the table on top, or decode the text there. */
static span buffer_span(lua_State *L, int encode) {
  check(L, luaL_loadstring(L, use_buffer));
  lua_insert(L, -2);
  lua_pushboolean(L, encode);
  span then = start();
  check(L, lua_pcall(L, 2, 1, 0));
  return since(then);
}

static void buffer_round(lua_State *from, span *encode, span *decode) {
  size_t size;
  lua_State *to = new_state();
  lua_pushvalue(from, -1);
  *encode = buffer_span(from, 1);
  const char *text = lua_tolstring(from, -1, &size);
  lua_pushlstring(to, text, size);
  lua_pop(from, 1);
  *decode = buffer_span(to, 0);
  lua_close(to);
}

int main(int argc, char **argv) {
  enum { PACK, UNPACK, CARRY, ENCODE, DECODE, BUFFER, KINDS, MOST = 100 };
  static span spans[KINDS][MOST];
  int records = argc > 1 ? atoi(argv[1]) : 100000, rounds = argc > 2 ? atoi(argv[2]) : 9;
  size_t size = 0;
  if (rounds < 1 || rounds > MOST || records < 1) return 2;
  lua_State *from = state_with_records(records);
  for (int i = 0; i < rounds; i++) {
    size = carry_round(from, records, &spans[PACK][i], &spans[UNPACK][i]);
    buffer_round(from, &spans[ENCODE][i], &spans[DECODE][i]);
    spans[CARRY][i] = sum(spans[PACK][i], spans[UNPACK][i]);
    spans[BUFFER][i] = sum(spans[ENCODE][i], spans[DECODE][i]);
  }
  printf("%d records of 5 fields, a parcel of %.1f MB, %d rounds\n", records, (double)size / 1e6,
         rounds);
  print_spans("pack", spans[PACK], rounds);
  print_spans("unpack", spans[UNPACK], rounds);
  print_spans("string.buffer encode", spans[ENCODE], rounds);
  print_spans("string.buffer decode", spans[DECODE], rounds);
  print_figure("pack.tiny", spans[PACK], rounds);
  print_figure("unpack.tiny", spans[UNPACK], rounds);
  print_figure("both.tiny", spans[CARRY], rounds);
  print_figure("pack.string_buffer", spans[ENCODE], rounds);
  print_figure("unpack.string_buffer", spans[DECODE], rounds);
  print_figure("both.string_buffer", spans[BUFFER], rounds);
  lua_close(from);
  return 0;
}
