/* SPDX-License-Identifier: MIT
 * cdata.h -- 64-bit integers of LuaJIT, which its C API has no words for. */
#ifndef TINY_CDATA_H
#define TINY_CDATA_H

#include <lua.h>

/* What lua_type() says of a cdata, and what lua_topointer() gives is the address of its content. */
#define TINY_TCDATA 10

/* Push the function ffi.istype and the types int64_t and uint64_t: called, a type makes a new
 * cdata that is 0. May raise. */
void tiny_cdata_push_types(lua_State *L);

#endif
