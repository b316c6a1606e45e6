/* SPDX-License-Identifier: MIT
 * field.c -- reading the fields of a table. */
#include "field.h"

static bool is_string(lua_State *L) { return lua_type(L, -1) == LUA_TSTRING; }

const char *tiny_field_string(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  const char *text = is_string(L) ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1); /* the table holds it */
  return text;
}

lua_Number tiny_field_number(lua_State *L, int table, const char *name, lua_Number otherwise) {
  lua_getfield(L, table, name);
  lua_Number number = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : otherwise;
  lua_pop(L, 1);
  return number;
}

bool tiny_field_set(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  bool set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}

const char *const *tiny_field_list(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  if (!lua_istable(L, -1)) return NULL;
  int count = (int)lua_objlen(L, -1);
  const char **list = lua_newuserdata(L, ((size_t)count + 1) * sizeof *list);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = is_string(L) ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1); /* the list holds it */
  }
  list[count] = NULL;
  return list;
}
