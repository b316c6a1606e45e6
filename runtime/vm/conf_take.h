/* SPDX-License-Identifier: MIT
 * conf_take.h -- plain Lua data as JSON. */
#ifndef TINY_CONF_TAKE_H
#define TINY_CONF_TAKE_H

#include <jansson.h>
#include <lua.h>
#include <stddef.h>

/* Convert the value at 'index'. A table becomes an array when its keys are 1..n and an object
 * when they are strings (an empty one too); strings keep every byte, valid UTF-8 or not; whole
 * numbers up to 2^53 become integers, infinities and NaN null, as does cjson.null.
 * Returns a new reference. NULL, with the path of the culprit and what it is in 'why', for
 * functions, userdata, cdata, mixed keys, metatables, tables nested too deep or without end, more
 * values than memory is worth, or when memory is short. Never raises, leaves the stack as it was. */
json_t *tiny_conf_take(lua_State *L, int index, char *why, size_t why_size);

#endif
