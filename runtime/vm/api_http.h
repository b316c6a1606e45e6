/* SPDX-License-Identifier: MIT
 * api_http.h -- HTTP requests as tasks of Lua: what the files of tiny.core.http share. Loop thread.
 *
 * Lua knows a request by a number: its place in the table of connections and its serial. Once
 * the request is over the number means nothing, and using it raises. */
#ifndef TINY_API_HTTP_H
#define TINY_API_HTTP_H

#include "http.h"

#include <lauxlib.h>

extern const tiny_http_hooks tiny_request_hooks;

/* The number of a connection's request, and the busy connection whose number the first argument is:
 * NULL when the request is over, or an error then. */
lua_Number tiny_request_number(const tiny_http_conn *conn);
tiny_http_conn *tiny_request_find(lua_State *L);
tiny_http_conn *tiny_request_check(lua_State *L);

/* The argument as a number of bytes. */
size_t tiny_request_size(lua_State *L, int index);

/* Part of a head, pushed as a string. */
void tiny_request_push(lua_State *L, const char *text, tiny_span span);

/* Functions of tiny.core.http: what is asked of a request, and what answers it. */
extern const luaL_Reg tiny_request_functions[], tiny_answer_functions[];

#endif
