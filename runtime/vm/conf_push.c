/* SPDX-License-Identifier: MIT
 * conf_push.c -- JSON as plain Lua data. */
#include "conf_push.h"

#include <lauxlib.h>
#include <stdint.h>

static void push(lua_State *L, const json_t *json);

static void push_array(lua_State *L, const json_t *array) {
  size_t i;
  const json_t *value;
  lua_createtable(L, (int)json_array_size(array), 0);
  json_array_foreach(array, i, value) {
    push(L, value);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_object(lua_State *L, const json_t *object) {
  const char *key;
  const json_t *value;
  lua_createtable(L, 0, (int)json_object_size(object));
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    lua_pushstring(L, key);
    push(L, value);
    lua_rawset(L, -3);
  }
}

static void push(lua_State *L, const json_t *json) {
  luaL_checkstack(L, 4, "nested too deep");
  switch (json_typeof(json)) {
  case JSON_OBJECT: push_object(L, json); break;
  case JSON_ARRAY: push_array(L, json); break;
  case JSON_STRING: lua_pushlstring(L, json_string_value(json), json_string_length(json)); break;
  case JSON_INTEGER:
  case JSON_REAL: lua_pushnumber(L, json_number_value(json)); break;
  case JSON_TRUE:
  case JSON_FALSE: lua_pushboolean(L, json_is_true(json)); break;
  case JSON_NULL: lua_pushlightuserdata(L, NULL); break;
  }
}

void tiny_conf_push(lua_State *L, const json_t *json) {
  if (!json || json_is_null(json))
    lua_pushnil(L);
  else
    push(L, json);
}
