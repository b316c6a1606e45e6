/* SPDX-License-Identifier: MIT
 * api_log.c -- tiny.core.log: from a Lua call to a line in the ring. The usual format,
 * %s and %d with strings and whole numbers, is written here without making a Lua
 * string; whatever else there is goes through the Lua function "render". */
#include "api_log.h"
#include "api.h"
#include "log_text.h"

#include <math.h>
#include <string.h>

#define QUICK_MOST 1024 /* bytes of a message that is formatted here */

static const char log_key, levels_key; /* in the registry: the log, and the table "on" */

void tiny_log_bind(lua_State *L, tiny_log *log) {
  lua_pushlightuserdata(L, (void *)&log_key);
  lua_pushlightuserdata(L, log);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

static tiny_log *bound_log(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&log_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  tiny_log *log = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return log;
}

/* The keys are there since luaopen_tiny_log(), so setting them takes no memory. */
static const char *const levels[TINY_LEVELS] = {"debug", "info", "warn", "err"};

void tiny_log_refresh(lua_State *L) {
  tiny_log *log = bound_log(L);
  lua_pushlightuserdata(L, (void *)&levels_key);
  lua_rawget(L, LUA_REGISTRYINDEX); /* on */
  for (int level = 0; level < TINY_LEVELS && lua_istable(L, -1); level++) {
    lua_pushboolean(L, level >= (int)tiny_log_threshold(log));
    lua_setfield(L, -2, levels[level]);
  }
  lua_pop(L, 1);
}

/* ---- formatting ---- */

typedef struct quick {
  char text[QUICK_MOST];
  size_t size;
} quick;

static bool add(quick *q, const char *text, size_t size) {
  if (size > sizeof q->text - q->size) return false;
  memcpy(q->text + q->size, text, size);
  q->size += size;
  return true;
}

/* Numbers that Lua writes without a point or an exponent. */
static bool add_whole(quick *q, lua_Number number) {
  char *at = q->text + q->size, *end = q->text + sizeof q->text;
  if (!(number > -1e14 && number < 1e14) || number != (lua_Number)(int64_t)number) return false;
  if ((number == 0 && signbit(number)) || end - at < 20) return false;
  if (number < 0) *at++ = '-';
  at = tiny_text_number(at, end, (uint64_t)(number < 0 ? -number : number), 1);
  q->size = (size_t)(at - q->text);
  return true;
}

static bool add_value(lua_State *L, quick *q, int arg, char directive) {
  size_t size;
  int type = lua_type(L, arg);
  if (type == LUA_TNUMBER) return add_whole(q, lua_tonumber(L, arg));
  if (type != LUA_TSTRING || directive != 's') return false;
  const char *text = lua_tolstring(L, arg, &size);
  return add(q, text, size);
}

/* Format arguments 2.. into 'q'. False: there is something in it that is not for here. */
static bool format_quickly(lua_State *L, quick *q) {
  size_t size;
  const char *at = lua_tolstring(L, 2, &size), *end = at + size;
  int arg = 3, last = lua_gettop(L);
  for (const char *sign; (sign = memchr(at, '%', (size_t)(end - at))); at = sign + 2) {
    if (!add(q, at, (size_t)(sign - at))) return false;
    if (sign[1] == '%') {
      if (!add(q, "%", 1)) return false;
    } else if ((sign[1] != 's' && sign[1] != 'd') || arg > last ||
               !add_value(L, q, arg++, sign[1])) {
      return false;
    }
  }
  return arg > last && add(q, at, (size_t)(end - at));
}

/* ---- putting ---- */

/* Level 0 is put itself, 1 the Lua function for the log's level, 2 whoever called that. */
static void find_where(lua_State *L, const tiny_log *log, lua_Debug *ar, tiny_where *where) {
  bool func = tiny_log_wants_func(log);
  if (!tiny_log_wants_where(log) || !lua_getstack(L, 2, ar)) return;
  if (!lua_getinfo(L, func ? "Sln" : "Sl", ar)) return;
  where->file = ar->short_src;
  where->line = ar->currentline > 0 ? ar->currentline : 0;
  if (func) where->func = ar->name;
}

static void put(lua_State *L, tiny_level level, const char *text, size_t size, const char *fields) {
  tiny_log *log = lua_touserdata(L, lua_upvalueindex(1));
  tiny_where where = {0};
  lua_Debug ar;
  find_where(L, log, &ar, &where);
  tiny_log_put(log, level, &where, text, size, fields);
}

/* Replaces the arguments from 2 on by what core.render makes of them: text, fields or nil. */
static void render(lua_State *L) {
  lua_getfield(L, lua_upvalueindex(2), "render");
  lua_insert(L, 2); /* level render fmt ... */
  if (lua_pcall(L, lua_gettop(L) - 2, 2, 0) == 0) return;
  const char *why = lua_tostring(L, 2);
  lua_pushfstring(L, "(a message that cannot be shown: %s)", why ? why : "no reason");
  lua_replace(L, 2);
}

/* put(level, fmt, ...) */
static int l_put(lua_State *L) {
  quick q;
  size_t size;
  tiny_level level = (tiny_level)lua_tointeger(L, 1);
  bool text = lua_type(L, 2) == LUA_TSTRING, alone = lua_gettop(L) == 2;
  q.size = 0;
  if (text && !alone && format_quickly(L, &q)) {
    put(L, level, q.text, q.size, NULL);
    return 0;
  }
  if (!text || !alone) render(L);
  const char *message = lua_tolstring(L, 2, &size);
  put(L, level, message, size, lua_tostring(L, 3));
  return 0;
}

/* The module: put, on = {debug = bool, ...}; render is set by tiny.log. */
int luaopen_tiny_log(lua_State *L) {
  tiny_log *log = bound_log(L);
  if (!log) return luaL_error(L, "this state is not bound to a log");
  lua_newtable(L); /* core */
  lua_newtable(L); /* core on */
  lua_pushlightuserdata(L, (void *)&levels_key);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  tiny_log_refresh(L);
  lua_setfield(L, -2, "on"); /* core */
  lua_pushlightuserdata(L, log);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, l_put, 2);
  lua_setfield(L, -2, "put");
  return 1;
}
