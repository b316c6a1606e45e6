/* SPDX-License-Identifier: MIT
 * api_acceptor.h -- handles on whoever serves ports: their thing is a tiny_acceptor. */
#ifndef TINY_API_ACCEPTOR_H
#define TINY_API_ACCEPTOR_H

#include "handle.h"
#include "port.h"

/* Its metatable is there once tiny.core.acceptor was required. */
extern const tiny_handle_kind tiny_acceptor_kind;

/* The argument as a limit on connections. */
unsigned tiny_acceptor_limit(lua_State *L, int index);

#endif
