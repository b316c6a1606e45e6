/* SPDX-License-Identifier: MIT
 * api_http.h -- HTTP requests as tasks of Lua: what the files of tiny.core.http share. Loop thread.
 *
 * Lua knows a request by a number: its place in the table of connections and its serial. Once
 * the request is over the number means nothing, and using it raises. */
#ifndef TINY_API_HTTP_H
#define TINY_API_HTTP_H

#include "generation.h"
#include "http.h"
#include "task.h"

#include <lauxlib.h>

/* A server whose requests Lua handles, each in a task that is its connection's owner. */
typedef struct tiny_request_server {
  tiny_http_server base;
  tiny_generation *generation;
  int entry;   /* registry reference: called with each request */
  int carrier; /* registry reference: says what goes on with a stream of events */
} tiny_request_server;

extern const tiny_http_hooks tiny_request_hooks;

/* The number of a connection's request, and the busy connection whose number the first argument is:
 * NULL when the request is over, or an error then. */
lua_Number tiny_request_number(const tiny_http_conn *conn);
tiny_http_conn *tiny_request_find(lua_State *L);
tiny_http_conn *tiny_request_check(lua_State *L);

/* The argument as a number of bytes. */
size_t tiny_request_size(lua_State *L, int index);

/* Part of a head, pushed as a string. */
void tiny_request_push(lua_State *L, const char *text, tiny_http_span span);

/* The number, method, path and query of its request: what Lua begins with. */
void tiny_request_push_head(lua_State *L, const tiny_http_conn *conn);

/* That task handles its request from here on. */
void tiny_request_own(tiny_http_conn *conn, tiny_task *task);

/* Tasks that its handler began and left behind wait for it no longer. */
void tiny_request_fail_waits(tiny_http_conn *conn);

/* A stream of events goes on in that server's generation, if it has a function for it. */
void tiny_request_carry(tiny_http_server *server, tiny_http_conn *conn);

/* Functions of tiny.core.http: what is asked of a request, what answers it, and what tells of its
 * events. */
extern const luaL_Reg tiny_request_functions[], tiny_answer_functions[], tiny_event_functions[];

#endif
