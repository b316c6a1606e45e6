/* SPDX-License-Identifier: MIT
 * field.h -- fields of a table that Lua has checked, such as the order for a socket or a request. Strings are
 * held by the table. */
#ifndef TINY_FIELD_H
#define TINY_FIELD_H

#include <lua.h>
#include <stdbool.h>

/* NULL for what is no string. */
const char *tiny_field_string(lua_State *L, int table, const char *name);

/* 'otherwise' for what is no number. */
lua_Number tiny_field_number(lua_State *L, int table, const char *name, lua_Number otherwise);

/* Whether it is there, and not false. */
bool tiny_field_set(lua_State *L, int table, const char *name);

/* The strings of a list, NULL after the last; NULL for what is no list. It is held by what is left on the
 * stack, two values at most. Raises when out of memory. */
const char *const *tiny_field_list(lua_State *L, int table, const char *name);

#endif
