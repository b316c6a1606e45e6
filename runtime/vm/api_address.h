/* SPDX-License-Identifier: MIT
 * api_address.h -- endpoints as Lua strings: opaque, made by tiny.core.address. */
#ifndef TINY_API_ADDRESS_H
#define TINY_API_ADDRESS_H

#include "address.h"

#include <lauxlib.h>

/* The argument; raises when it is no endpoint. Lives as long as the string. */
const tiny_endpoint *tiny_endpoint_check(lua_State *L, int index);

void tiny_endpoint_push(lua_State *L, const tiny_endpoint *endpoint);

/* Push the address of an endpoint as a user writes it. */
void tiny_endpoint_push_text(lua_State *L, const tiny_endpoint *endpoint);

#endif
