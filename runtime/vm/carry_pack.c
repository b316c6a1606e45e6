/* SPDX-License-Identifier: MIT
 * carry_pack.c -- a value of one state as a parcel. */
#include "carry.h"
#include "cdata.h"
#include "parcel.h"
#include "path.h"
#include "stack.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The protected function's stack. LATE is a list of tables; then a function and two types for cdata,
 * once they are needed. Above are the value and, as lua_next() leaves them, the keys
 * and tables that lead to where packing is: value, key, table, key, table ... */
enum { VALUE = 1, PACKER, LATE, ISTYPE, INT64, UINT64, ROOT };

/* The two that lua_next() leaves on top. */
enum { KEY = -2, MEMBER = -1 };

typedef struct buffer {
  char *bytes, *at, *end;
} buffer;

typedef struct packer {
  const tiny_carry_terms *terms;
  buffer out, addresses, late; /* addresses of the objects; numbers of the late ones */
  uint32_t objects, late_count;
  int depth;     /* tables entered between ROOT and here */
  int beyond;    /* a late table is ROOT: how it was reached is not known any more */
  uint32_t *map; /* an object's number + 1 by its address; open addressing, at most half full */
  unsigned map_bits;
  const void *texts[PARCEL_SLOTS];
  char *why;
  size_t why_size;
} packer;

/* Leave the protected call. The reason is in 'why' already, or it is want of memory. */
__attribute__((noreturn)) static void fail(lua_State *L) {
  lua_pushnil(L);
  lua_error(L);
  __builtin_unreachable();
}

static size_t used(const buffer *b) { return (size_t)(b->at - b->bytes); }

static void grow(lua_State *L, buffer *b, size_t size) {
  size_t old = used(b), room = 2 * (old + size) + 4096;
  char *bytes = realloc(b->bytes, room);
  if (!bytes) fail(L);
  b->at = bytes + old;
  b->end = bytes + room;
  b->bytes = bytes;
}

/* Where to write 'size' more bytes. */
static inline char *extend(lua_State *L, buffer *b, size_t size) {
  if ((size_t)(b->end - b->at) < size) grow(L, b, size);
  char *at = b->at;
  b->at = at + size;
  return at;
}

static inline void put(lua_State *L, buffer *b, const void *data, size_t size) {
  memcpy(extend(L, b, size), data, size);
}

static inline void put_tagged(lua_State *L, packer *p, enum parcel_tag tag, const void *data,
                              size_t size) {
  char *at = extend(L, &p->out, 1 + size);
  at[0] = (char)tag;
  memcpy(at + 1, data, size);
}

static void put_tag(lua_State *L, packer *p, enum parcel_tag tag) {
  extend(L, &p->out, 1)[0] = (char)tag;
}

/* -- what cannot be carried ------------------------------------------------ */

/* Write the path that 'keys' of the keys on the stack make, and refuse what it leads to. */
static void refuse(lua_State *L, packer *p, int keys, const char *format, const char *what) {
  const char *remedy = p->terms->remedy;
  snprintf(p->why, p->why_size, "%s%s", p->terms->name, p->beyond ? "[...]" : "");
  for (int i = 0; i < keys; i++) tiny_path_step(p->why, p->why_size, L, ROOT + 1 + 2 * i);
  size_t length = strlen(p->why);
  snprintf(p->why + length, p->why_size - length, format, what);
  length = strlen(p->why);
  if (remedy) snprintf(p->why + length, p->why_size - length, "; %s", remedy);
  fail(L);
}

static void refuse_value(lua_State *L, packer *p, int index, const char *what) {
  if (index == KEY) refuse(L, p, p->depth - 1, " has %s as a key", what);
  refuse(L, p, p->depth, " is %s", what);
}

/* -- scalars --------------------------------------------------------------- */

static uint64_t scatter(uintptr_t number) { return number * 0x9e3779b97f4a7c15u; }

/* Where a text is remembered. Texts are told by their addresses: there are no two alike. */
static uint16_t slot_of(const void *text, int index) {
  return (uint16_t)(scatter((uintptr_t)text >> 3) >> 54) + (index == KEY ? 0 : PARCEL_KEY_SLOTS);
}

static void put_text(lua_State *L, packer *p, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  const void *address = index == KEY ? lua_topointer(L, KEY) : text; /* as put_key() looks for */
  uint16_t slot = slot_of(address, index);
  uint32_t length = (uint32_t)size;
  if (p->texts[slot] == address) {
    put_tagged(L, p, PARCEL_AGAIN, &slot, sizeof slot);
    return;
  }
  char *at = extend(L, &p->out, 1 + sizeof slot + sizeof length + size);
  at[0] = PARCEL_TEXT;
  memcpy(at + 1, &slot, sizeof slot);
  memcpy(at + 1 + sizeof slot, &length, sizeof length);
  memcpy(at + 1 + sizeof slot + sizeof length, text, size);
  p->texts[slot] = address;
}

static void put_number(lua_State *L, packer *p, int index) {
  double number = lua_tonumber(L, index);
  put_tagged(L, p, PARCEL_NUMBER, &number, sizeof number);
}

static void put_light(lua_State *L, packer *p, int index) {
  if (lua_touserdata(L, index)) refuse_value(L, p, index, "a lightuserdata");
  put_tag(L, p, PARCEL_NULL);
}

static void load_types(lua_State *L) {
  tiny_cdata_push_types(L);
  lua_replace(L, UINT64);
  lua_replace(L, INT64);
  lua_replace(L, ISTYPE);
}

static int is_ctype(lua_State *L, int index, int ctype) {
  lua_pushvalue(L, ISTYPE);
  lua_pushvalue(L, ctype);
  lua_pushvalue(L, index - 2);
  lua_call(L, 2, 1);
  int yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

static void put_cdata(lua_State *L, packer *p, int index) {
  if (lua_isnil(L, ISTYPE)) load_types(L);
  int is_signed = is_ctype(L, index, INT64);
  if (!is_signed && !is_ctype(L, index, UINT64)) refuse_value(L, p, index, "a cdata");
  put_tagged(L, p, is_signed ? PARCEL_INT64 : PARCEL_UINT64, lua_topointer(L, index),
             sizeof(uint64_t));
}

/* -- objects --------------------------------------------------------------- */

/* The place in the map of the object at 'address', which holds 0 when it was not met yet.
 * Objects that were made one after another are near each other here too: that spares the cache. */
static uint32_t *find(const packer *p, const void *address) {
  const void **addresses = (const void **)(void *)p->addresses.bytes;
  uintptr_t block = (uintptr_t)address >> 16, within = ((uintptr_t)address & 0xffff) >> 4;
  size_t mask = ((size_t)1 << p->map_bits) - 1, i = (scatter(block) >> (64 - p->map_bits)) + within;
  for (i &= mask; p->map[i] && addresses[p->map[i] - 1] != address;) i = (i + 1) & mask;
  return &p->map[i];
}

static void grow_map(lua_State *L, packer *p) {
  const void **addresses = (const void **)(void *)p->addresses.bytes;
  unsigned bits = p->map ? p->map_bits + 2 : 8;
  uint32_t *map = calloc((size_t)1 << bits, sizeof *map);
  if (!map) fail(L);
  free(p->map);
  p->map = map;
  p->map_bits = bits;
  for (uint32_t id = 0; id < p->objects; id++) *find(p, addresses[id]) = id + 1;
}

/* Whether the object is met for the first time; a later one is put as its number. */
static int is_new(lua_State *L, packer *p, int index) {
  if (!p->map || p->objects >= (uint32_t)1 << (p->map_bits - 1)) grow_map(L, p);
  const void *address = lua_topointer(L, index);
  uint32_t *place = find(p, address), id = *place - 1;
  if (*place) put_tagged(L, p, PARCEL_OBJECT, &id, sizeof id);
  if (*place) return 0;
  put(L, &p->addresses, &address, sizeof address);
  *place = ++p->objects;
  return 1;
}

static void put_userdata(lua_State *L, packer *p, int index) {
  if (!is_new(L, p, index)) return;
  lua_pushvalue(L, index);
  void *taken = p->terms->take ? p->terms->take(L, p->terms->data) : NULL;
  lua_pop(L, 1);
  if (!taken) refuse_value(L, p, index, "a userdata");
  put_tagged(L, p, PARCEL_TAKEN, &taken, sizeof taken);
}

static void put_late(lua_State *L, packer *p, int index) {
  uint32_t id = p->objects - 1;
  put_tag(L, p, PARCEL_LATE);
  put(L, &p->late, &id, sizeof id);
  lua_pushvalue(L, index);
  lua_rawseti(L, LATE, (int)++p->late_count);
}

static void put_content(lua_State *L, packer *p);

static void put_table(lua_State *L, packer *p, int index) {
  if (!is_new(L, p, index)) return;
  if (index == KEY || p->depth == PARCEL_DEPTH) {
    put_late(L, p, index);
  } else {
    put_tag(L, p, PARCEL_TABLE);
    put_content(L, p);
  }
}

static void put_value(lua_State *L, packer *p, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNIL: put_tag(L, p, PARCEL_NIL); break;
  case LUA_TBOOLEAN: put_tag(L, p, lua_toboolean(L, index) ? PARCEL_TRUE : PARCEL_FALSE); break;
  case LUA_TLIGHTUSERDATA: put_light(L, p, index); break;
  case LUA_TNUMBER: put_number(L, p, index); break;
  case LUA_TSTRING: put_text(L, p, index); break;
  case LUA_TTABLE: put_table(L, p, index); break;
  case LUA_TFUNCTION: refuse_value(L, p, index, "a function"); break;
  case LUA_TUSERDATA: put_userdata(L, p, index); break;
  case LUA_TTHREAD: refuse_value(L, p, index, "a thread"); break;
  case TINY_TCDATA: put_cdata(L, p, index); break;
  }
}

/* Whether the key is the next of a list 1, 2, 3 ... which goes without saying. */
static int is_listed(lua_State *L, const parcel_shape *shape) {
  return shape->keyed == 0 && lua_type(L, KEY) == LUA_TNUMBER &&
         lua_tonumber(L, KEY) == shape->listed + 1.0;
}

/* Most keys are one of a few texts: then their address tells, and their type need not be asked. */
static void put_key(lua_State *L, packer *p) {
  const void *address = lua_topointer(L, KEY);
  uint16_t slot = slot_of(address, KEY);
  if (address && p->texts[slot] == address)
    put_tagged(L, p, PARCEL_AGAIN, &slot, sizeof slot);
  else
    put_value(L, p, KEY);
}

/* Shape and values of the table on top. The shape is known last, but stands first. */
static void put_content(lua_State *L, packer *p) {
  parcel_shape shape = {0, 0};
  size_t at = used(&p->out);
  if (lua_getmetatable(L, -1)) refuse(L, p, p->depth, " is %s", "a table with a metatable");
  put(L, &p->out, &shape, sizeof shape);
  p->depth++;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (is_listed(L, &shape)) {
      shape.listed++;
    } else {
      shape.keyed++;
      put_key(L, p);
    }
    put_value(L, p, MEMBER);
    lua_pop(L, 1);
  }
  p->depth--;
  memcpy(p->out.bytes + at, &shape, sizeof shape);
}

static void put_late_contents(lua_State *L, packer *p) {
  p->beyond = 1;
  for (uint32_t i = 0; i < p->late_count; i++) {
    put(L, &p->out, p->late.bytes + i * sizeof(uint32_t), sizeof(uint32_t));
    lua_rawgeti(L, LATE, (int)i + 1);
    put_content(L, p);
    lua_pop(L, 1);
  }
}

/* value packer -> nothing */
static int pack(lua_State *L) {
  packer *p = lua_touserdata(L, PACKER);
  parcel_head head = {PARCEL_MAGIC, 0};
  luaL_checkstack(L, 2 * PARCEL_DEPTH + 20, NULL);
  lua_newtable(L);
  lua_settop(L, ROOT - 1);
  put(L, &p->out, &head, sizeof head);
  lua_pushvalue(L, VALUE);
  put_value(L, p, MEMBER);
  lua_pop(L, 1);
  put_late_contents(L, p);
  head.objects = p->objects;
  memcpy(p->out.bytes, &head, sizeof head);
  return 0;
}

/* -- from outside ---------------------------------------------------------- */

/* With the collector stopped: finalizers are Lua and could change the value. */
static int pack_protected(lua_State *L, int index, packer *p) {
  if (index < 0 && index > LUA_REGISTRYINDEX) index = lua_gettop(L) + index + 1;
  if (tiny_stack_function(L, pack) != 0) return LUA_ERRMEM;
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, p);
  int was_running = lua_gc(L, LUA_GCISRUNNING, 0);
  lua_gc(L, LUA_GCSTOP, 0);
  int status = lua_pcall(L, 2, 0, 0);
  if (was_running) lua_gc(L, LUA_GCRESTART, 0);
  return status;
}

int tiny_carry_pack(lua_State *from, int index, const tiny_carry_terms *terms, tiny_parcel *parcel,
                    char *why, size_t why_size) {
  packer p = {.terms = terms, .why = why, .why_size = why_size};
  int top = lua_gettop(from);
  why[0] = 0;
  int status = pack_protected(from, index, &p);
  if (status != 0 && !why[0]) {
    const char *text = lua_gettop(from) > top ? lua_tostring(from, -1) : NULL;
    snprintf(why, why_size, "%s: %s", terms->name, text ? text : "not enough memory to pack it");
  }
  lua_settop(from, top);
  free(p.map);
  free(p.addresses.bytes);
  free(p.late.bytes);
  if (status != 0) free(p.out.bytes);
  *parcel = status == 0 ? (tiny_parcel){p.out.bytes, used(&p.out)} : (tiny_parcel){NULL, 0};
  return status == 0 ? 0 : -1;
}
