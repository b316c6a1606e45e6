/* SPDX-License-Identifier: MIT
 * conf_take.c -- plain Lua data as JSON. Nothing here raises: once the stack has room, types,
 * lengths and lua_next() are only read. */
#include "conf_take.h"
#include "path.h"
#include "stack.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A table that is shared many times over can grow without end, hence a limit on values too. */
enum { DEPTH = 100, SLOTS = 3, VALUES = 1000000 };

typedef struct taking {
  lua_State *L;
  const void *above[DEPTH]; /* the tables that the present value is in */
  int depth, values;
  char path[256];   /* of the culprit, made on the way back */
  const char *what; /* it is; NULL as long as all is well */
} taking;

static json_t *refuse(taking *t, const char *what) {
  t->what = what;
  return NULL;
}

static json_t *take(taking *t);

/* Whole numbers are exact up to 2^53. JSON has no word for the infinite. */
static json_t *take_number(double number) {
  if (!isfinite(number)) return json_null();
  if (number == floor(number) && fabs(number) <= 0x1p53) return json_integer((json_int_t)number);
  return json_real(number);
}

/* On the way back from a mistake: put the key that led to it, under the top, before the path. */
static void note_step(taking *t) {
  char rest[sizeof t->path];
  memcpy(rest, t->path, sizeof rest);
  t->path[0] = 0;
  tiny_path_step(t->path, sizeof t->path, t->L, -2);
  size_t used = strlen(t->path);
  snprintf(t->path + used, sizeof t->path - used, "%s", rest);
}

/* Both of these: add the value on top, under its key, to the array or object. */
static int add_element(taking *t, json_t *array) { return json_array_append_new(array, take(t)); }

static int add_member(taking *t, json_t *object) {
  size_t size;
  if (lua_type(t->L, -2) != LUA_TSTRING) {
    t->what = "under a key that is neither a string nor part of a list 1..n";
    return -1;
  }
  const char *key = lua_tolstring(t->L, -2, &size);
  return json_object_setn_new_nocheck(object, key, size, take(t));
}

/* Give up a table that is half done, with a key and a value on the stack. */
static json_t *give_up(taking *t, json_t *half) {
  note_step(t);
  lua_pop(t->L, 2);
  json_decref(half);
  return NULL;
}

static json_t *take_object(taking *t) {
  json_t *object = json_object();
  if (!object) return NULL;
  lua_pushnil(t->L);
  while (lua_next(t->L, -2)) {
    if (add_member(t, object) != 0) return give_up(t, object);
    lua_pop(t->L, 1);
  }
  return object;
}

static json_t *take_array(taking *t, int length) {
  json_t *array = json_array();
  for (int i = 1; array && i <= length; i++) {
    lua_pushinteger(t->L, i);
    lua_rawgeti(t->L, -2, i);
    if (add_element(t, array) != 0) return give_up(t, array);
    lua_pop(t->L, 2);
  }
  return array;
}

static bool is_index(lua_State *L, int index, int length) {
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  double key = lua_tonumber(L, index);
  return key >= 1 && key <= length && key == floor(key);
}

/* How many values the list on top has; 0 when it is none. */
static int list_length(lua_State *L) {
  int length = (int)lua_objlen(L, -1), count = 0;
  if (length == 0) return 0;
  lua_pushnil(L);
  for (; lua_next(L, -2); lua_pop(L, 1)) {
    if (is_index(L, -2, length))
      count++;
    else
      length = -1;
  }
  return count == length ? count : 0;
}

static const char *bad_table(const taking *t) {
  const void *table = lua_topointer(t->L, -1);
  if (t->depth == DEPTH) return "nested too deep";
  for (int i = 0; i < t->depth; i++)
    if (t->above[i] == table) return "a table that contains itself";
  if (!lua_getmetatable(t->L, -1)) return NULL;
  lua_pop(t->L, 1);
  return "a table with a metatable";
}

static json_t *take_table(taking *t) {
  const char *bad = bad_table(t);
  if (bad) return refuse(t, bad);
  t->above[t->depth++] = lua_topointer(t->L, -1);
  int length = list_length(t->L);
  json_t *result = length > 0 ? take_array(t, length) : take_object(t);
  t->depth--;
  return result;
}

/* A type's name with its article, so that it can stand after "is". */
static const char *article(int type) {
  switch (type) {
  case LUA_TFUNCTION: return "a function";
  case LUA_TUSERDATA: return "a userdata";
  case LUA_TTHREAD: return "a thread";
  case LUA_TLIGHTUSERDATA: return "a lightuserdata";
  default: return "a cdata";
  }
}

/* The value on top of the stack, which stays there. */
static json_t *take(taking *t) {
  lua_State *L = t->L;
  size_t size;
  if (++t->values > VALUES) return refuse(t, "one value too many");
  switch (lua_type(L, -1)) {
  case LUA_TNIL: return json_null();
  case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, -1));
  case LUA_TNUMBER: return take_number(lua_tonumber(L, -1));
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, -1, &size);
    return json_stringn_nocheck(text, size);
  }
  case LUA_TTABLE: return take_table(t);
  case LUA_TLIGHTUSERDATA:
    if (!lua_touserdata(L, -1)) return json_null();
    /* fall through */
  default: return refuse(t, article(lua_type(L, -1)));
  }
}

json_t *tiny_conf_take(lua_State *L, int index, char *why, size_t why_size) {
  taking t = {.L = L};
  json_t *result = NULL;
  if (tiny_stack_reserve(L, SLOTS * DEPTH + SLOTS) == 0) {
    lua_pushvalue(L, index);
    result = take(&t);
    lua_pop(L, 1);
  }
  if (result) return result;
  const char *path = t.path[0] == '.' ? t.path + 1 : t.path;
  if (t.what)
    snprintf(why, why_size, "%s is %s", *path ? path : "the value", t.what);
  else
    snprintf(why, why_size, "out of memory");
  return NULL;
}
