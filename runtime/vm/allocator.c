/* SPDX-License-Identifier: MIT
 * allocator.c -- counting a VM's bytes, and pressing its collector. */
#include "allocator.h"

enum {
  SPARE = 256 * 1024, /* for the call of the collector, and for what finalizers do */
  NEVER = 1 << 20     /* sixteenths: what was spared may still be in use, over the limit */
};

/* From which share of the limit on (in 1/16) the collector gets which settings; back again a
 * sixteenth below. A step multiplier of 0 makes each step a whole cycle. */
static const struct pressure {
  size_t from;
  int pause, stepmul;
} pressures[] = {{0, 200, 200}, {6, 130, 400}, {10, 110, 800}, {13, 102, 0}, {NEVER, 0, 0}};

static void press(tiny_allocator *a, int pressure, int kick) {
  a->pressure = pressure;
  lua_gc(a->L, LUA_GCSETPAUSE, pressures[pressure].pause);
  lua_gc(a->L, LUA_GCSETSTEPMUL, pressures[pressure].stepmul);
  /* The next check begins a cycle, unless the collector was stopped on purpose. */
  if (kick && lua_gc(a->L, LUA_GCISRUNNING, 0)) lua_gc(a->L, LUA_GCRESTART, 0);
}

/* None of these collector calls allocates or collects, so they are safe in the allocator. */
static void adjust(tiny_allocator *a) {
  size_t sixteenth = a->limit / 16;
  if (a->used >= pressures[a->pressure + 1].from * sixteenth)
    press(a, a->pressure + 1, 1);
  else if (a->pressure && a->used + sixteenth < pressures[a->pressure].from * sixteenth)
    press(a, a->pressure - 1, 0);
}

static void *allocate(void *data, void *block, size_t old_size, size_t new_size) {
  tiny_allocator *a = data;
  if (new_size > old_size && a->used + (new_size - old_size) > a->limit) return NULL;
  void *result = a->inner(a->inner_data, block, old_size, new_size);
  if (!result && new_size > 0) return NULL;
  a->used += new_size - old_size;
  adjust(a);
  return result;
}

int tiny_allocator_limit(tiny_allocator *a, lua_State *L, size_t limit) {
  size_t used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  if (used > limit / 2) return -1;
  *a = (tiny_allocator){.L = L, .used = used, .limit = limit};
  a->inner = lua_getallocf(L, &a->inner_data);
  lua_setallocf(L, allocate, a);
  return 0;
}

int tiny_allocator_call(tiny_allocator *a, lua_State *L, lua_CFunction fn, void *data) {
  a->limit += SPARE;
  int status = lua_cpcall(L, fn, data);
  a->limit -= SPARE;
  return status;
}

static int collect(lua_State *L) { return lua_gc(L, LUA_GCCOLLECT, 0); }

void tiny_allocator_recover(tiny_allocator *a, lua_State *L) {
  if (tiny_allocator_call(a, L, collect, NULL) != 0) lua_pop(L, 1); /* a finalizer raised */
}

/* LuaJIT unmaps what its allocator has only when the state still has that allocator: until then freed
 * blocks are kept for a state that is no more. */
void tiny_allocator_close(tiny_allocator *a, lua_State *L) {
  if (a->inner) lua_setallocf(L, a->inner, a->inner_data);
  lua_close(L);
}
