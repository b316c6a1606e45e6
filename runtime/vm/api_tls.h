/* SPDX-License-Identifier: MIT
 * api_tls.h -- TLS settings as Lua holds them. Loop thread. */
#ifndef TINY_API_TLS_H
#define TINY_API_TLS_H

#include "tls.h"

#include <lua.h>

/* The settings at 'index', with no reference of their own; NULL for nil. Raises for anything else. */
tiny_tls *tiny_tls_check(lua_State *L, int index);

#endif
