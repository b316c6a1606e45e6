/* SPDX-License-Identifier: MIT
 * carry_unpack.c -- a parcel as a value of another state. */
#include "carry.h"
#include "cdata.h"
#include "parcel.h"
#include "stack.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* The protected function's stack: OBJECTS is a list of them by number + 1; then two types for
 * cdata, once they are needed, and the remembered texts. */
enum { UNPACKER = 1, OBJECTS, INT64, UINT64, TEXTS, TOP = TEXTS + PARCEL_SLOTS - 1 };

typedef struct unpacker {
  const tiny_carry_terms *terms;
  const char *at, *end;         /* what is left */
  uint32_t objects, made, late; /* announced; made; of these still to be filled */
  int depth;
} unpacker;

static const void *read_bytes(lua_State *L, unpacker *u, size_t size) {
  if ((size_t)(u->end - u->at) < size) luaL_error(L, "the parcel is damaged");
  u->at += size;
  return u->at - size;
}

static uint16_t read_slot(lua_State *L, unpacker *u) {
  uint16_t slot;
  memcpy(&slot, read_bytes(L, u, sizeof slot), sizeof slot);
  if (slot >= PARCEL_SLOTS) luaL_error(L, "the parcel is damaged");
  return slot;
}

static uint32_t read_u32(lua_State *L, unpacker *u) {
  uint32_t number;
  memcpy(&number, read_bytes(L, u, sizeof number), sizeof number);
  return number;
}

static uint64_t read_u64(lua_State *L, unpacker *u) {
  uint64_t number;
  memcpy(&number, read_bytes(L, u, sizeof number), sizeof number);
  return number;
}

static void push_text(lua_State *L, unpacker *u) {
  uint16_t slot = read_slot(L, u);
  uint32_t size = read_u32(L, u);
  lua_pushlstring(L, read_bytes(L, u, size), size);
  lua_pushvalue(L, -1);
  lua_replace(L, TEXTS + slot);
}

static void push_number(lua_State *L, unpacker *u) {
  uint64_t bits = read_u64(L, u);
  double number;
  memcpy(&number, &bits, sizeof number);
  lua_pushnumber(L, number);
}

static void load_types(lua_State *L) {
  tiny_cdata_push_types(L);
  lua_replace(L, UINT64);
  lua_replace(L, INT64);
  lua_pop(L, 1);
}

static void push_word(lua_State *L, unpacker *u, int type) {
  uint64_t word = read_u64(L, u);
  if (lua_isnil(L, type)) load_types(L);
  lua_pushvalue(L, type);
  lua_call(L, 0, 1);
  memcpy((void *)(uintptr_t)lua_topointer(L, -1), &word, sizeof word);
}

/* Keep the object on top under its number. */
static void remember(lua_State *L, unpacker *u) {
  lua_pushvalue(L, -1);
  lua_rawseti(L, OBJECTS, (int)++u->made);
}

static void push_object(lua_State *L, unpacker *u) {
  uint32_t id = read_u32(L, u);
  if (id >= u->made) luaL_error(L, "the parcel is damaged");
  lua_rawgeti(L, OBJECTS, (int)id + 1);
}

static parcel_shape read_shape(lua_State *L, unpacker *u) {
  parcel_shape shape;
  memcpy(&shape, read_bytes(L, u, sizeof shape), sizeof shape);
  size_t left = (size_t)(u->end - u->at); /* each value takes a byte or more */
  if (shape.listed > left || shape.keyed > left) luaL_error(L, "the parcel is damaged");
  return shape;
}

static void push_value(lua_State *L, unpacker *u);

/* Put its values into the table on top. */
static void fill(lua_State *L, unpacker *u, parcel_shape shape) {
  for (uint32_t i = 1; i <= shape.listed; i++) {
    push_value(L, u);
    lua_rawseti(L, -2, (int)i);
  }
  for (uint32_t i = 0; i < shape.keyed; i++) {
    push_value(L, u);
    push_value(L, u);
    if (lua_isnil(L, -2))
      lua_pop(L, 2); /* a userdata was the key, and nothing was given for it */
    else
      lua_rawset(L, -3);
  }
}

static void push_table(lua_State *L, unpacker *u) {
  parcel_shape shape = read_shape(L, u);
  if (++u->depth > PARCEL_DEPTH) luaL_error(L, "the parcel is damaged");
  lua_createtable(L, (int)shape.listed, (int)shape.keyed);
  remember(L, u);
  fill(L, u, shape);
  u->depth--;
}

static void push_late(lua_State *L, unpacker *u) {
  u->late++;
  lua_newtable(L);
  remember(L, u);
}

static void fill_late(lua_State *L, unpacker *u) {
  push_object(L, u);
  if (!lua_istable(L, -1)) luaL_error(L, "the parcel is damaged");
  fill(L, u, read_shape(L, u));
  lua_pop(L, 1);
}

static void push_taken(lua_State *L, unpacker *u) {
  void *taken;
  memcpy(&taken, read_bytes(L, u, sizeof taken), sizeof taken);
  if (!u->terms->give) luaL_error(L, "the parcel holds a userdata");
  u->terms->give(L, taken, u->terms->data);
  remember(L, u);
}

static void push_value(lua_State *L, unpacker *u) {
  switch (*(const unsigned char *)read_bytes(L, u, 1)) {
  case PARCEL_NIL: lua_pushnil(L); break;
  case PARCEL_FALSE: lua_pushboolean(L, 0); break;
  case PARCEL_TRUE: lua_pushboolean(L, 1); break;
  case PARCEL_NULL: lua_pushlightuserdata(L, NULL); break;
  case PARCEL_NUMBER: push_number(L, u); break;
  case PARCEL_INT64: push_word(L, u, INT64); break;
  case PARCEL_UINT64: push_word(L, u, UINT64); break;
  case PARCEL_TEXT: push_text(L, u); break;
  case PARCEL_AGAIN: lua_pushvalue(L, TEXTS + read_slot(L, u)); break;
  case PARCEL_TABLE: push_table(L, u); break;
  case PARCEL_LATE: push_late(L, u); break;
  case PARCEL_TAKEN: push_taken(L, u); break;
  case PARCEL_OBJECT: push_object(L, u); break;
  default: luaL_error(L, "the parcel is damaged");
  }
}

static void read_head(lua_State *L, unpacker *u) {
  parcel_head head;
  memcpy(&head, read_bytes(L, u, sizeof head), sizeof head);
  if (head.magic != PARCEL_MAGIC) luaL_error(L, "this is not a parcel");
  if (head.objects > (size_t)(u->end - u->at)) luaL_error(L, "the parcel is damaged");
  u->objects = head.objects;
}

/* unpacker -> value */
static int unpack(lua_State *L) {
  unpacker *u = lua_touserdata(L, UNPACKER);
  luaL_checkstack(L, TOP + 3 * PARCEL_DEPTH + 20, NULL);
  read_head(L, u);
  lua_createtable(L, (int)u->objects, 0);
  lua_settop(L, TOP);
  push_value(L, u);
  for (; u->late > 0; u->late--) fill_late(L, u);
  if (u->at != u->end) luaL_error(L, "the parcel is damaged");
  return 1;
}

/* The collector is stopped meanwhile: all it could find is alive. It goes on as after a full
 * cycle (-1), not by looking at all of this at once. */
int tiny_carry_unpack(lua_State *to, const tiny_parcel *parcel, const tiny_carry_terms *terms,
                      char *why, size_t why_size) {
  unpacker u = {.terms = terms, .at = parcel->bytes, .end = parcel->bytes + parcel->size};
  int was_running = lua_gc(to, LUA_GCISRUNNING, 0), status = LUA_ERRMEM, top = lua_gettop(to);
  lua_gc(to, LUA_GCSTOP, 0);
  if (tiny_stack_function(to, unpack) == 0) {
    lua_pushlightuserdata(to, &u);
    status = lua_pcall(to, 1, 1, 0);
  }
  if (was_running) lua_gc(to, LUA_GCRESTART, -1);
  if (status == 0) return 0;
  const char *text = lua_gettop(to) > top ? lua_tostring(to, -1) : NULL;
  snprintf(why, why_size, "%s: %s", terms->name, text ? text : "not enough memory to unpack it");
  lua_settop(to, top);
  return -1;
}
