/* SPDX-License-Identifier: MIT
 * api_http.h -- HTTP requests as tasks of Lua. */
#ifndef TINY_API_HTTP_H
#define TINY_API_HTTP_H

#include "generation.h"
#include "http.h"
#include "task.h"

/* A server whose requests Lua handles, each in a task that is its connection's owner. */
typedef struct tiny_request_server {
  tiny_http_server base;
  tiny_generation *generation;
  int entry;   /* registry reference: called with each request */
  int carrier; /* registry reference: says what goes on with a stream of events */
} tiny_request_server;

extern const tiny_http_hooks tiny_request_hooks;

/* The connection whose request has the number that is the first argument; NULL when it is over. */
tiny_http_conn *tiny_request_find(lua_State *L);

/* Push its number, method, path and query: what Lua begins a request with. */
void tiny_request_push(lua_State *L, const tiny_http_conn *conn);

/* That task handles it from here on. */
void tiny_request_own(tiny_http_conn *conn, tiny_task *task);

/* -- server-sent events (api_events.c) */
void tiny_request_carry(tiny_http_server *server, tiny_http_conn *conn);
int tiny_l_events_begin(lua_State *L);
int tiny_l_events_sent(lua_State *L);

#endif
