/* SPDX-License-Identifier: MIT
 * conf_push.h -- JSON as plain Lua data: conf_take.h the other way round. */
#ifndef TINY_CONF_PUSH_H
#define TINY_CONF_PUSH_H

#include <jansson.h>
#include <lua.h>

/* Push it: arrays and objects as tables, null as the lightuserdata that cjson.null is, but nil at the
 * top. Raises when out of memory or nested too deep: call it protected. */
void tiny_conf_push(lua_State *L, const json_t *json);

#endif
