/* SPDX-License-Identifier: MIT
 * api_request.c -- what Lua asks of a request. */
#include "api_address.h"
#include "api_http.h"
#include "runtime.h"
#include "wait.h"

#include <ctype.h>
#include <string.h>

enum { SLOTS = 1 << 20 }; /* connections: what is above is the serial */

lua_Number tiny_request_number(const tiny_http_conn *c) {
  return (lua_Number)c->serial * SLOTS + c->slot;
}

tiny_http_conn *tiny_request_find(lua_State *L) {
  uint64_t id = (uint64_t)luaL_checknumber(L, 1);
  tiny_http *http = tiny_generation_of(L)->runtime->sockets->http;
  return http ? tiny_http_busy(http, (uint32_t)(id % SLOTS), id / SLOTS) : NULL;
}

tiny_http_conn *tiny_request_check(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  if (!c) luaL_error(L, "the request is over");
  return c;
}

void tiny_request_push(lua_State *L, const char *text, tiny_http_span span) {
  lua_pushlstring(L, text + span.at, span.size);
}

void tiny_request_push_head(lua_State *L, const tiny_http_conn *conn) {
  const tiny_http_head *head = tiny_http_request_head(conn);
  const char *text = tiny_http_request_text(conn);
  lua_pushnumber(L, tiny_request_number(conn));
  tiny_request_push(L, text, head->method);
  tiny_request_push(L, text, head->path);
  if (head->query.at)
    tiny_request_push(L, text, head->query);
  else
    lua_pushnil(L);
}

/* -- the head -------------------------------------------------------------- */

/* Repeated fields are one list. The table is on top. */
static void add_header(lua_State *L, const char *text, const tiny_http_field *field) {
  char name[256];
  size_t size = field->name.size < sizeof name ? field->name.size : sizeof name;
  for (size_t i = 0; i < size; i++)
    name[i] = (char)tolower((unsigned char)text[field->name.at + i]);
  lua_pushlstring(L, name, size);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3); /* table name before */
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    tiny_request_push(L, text, field->value);
  } else {
    lua_pushstring(L, size == 6 && memcmp(name, "cookie", 6) == 0 ? "; " : ", ");
    tiny_request_push(L, text, field->value);
    lua_concat(L, 3);
  }
  lua_rawset(L, -3);
}

/* headers(id) -> table by names in lower case */
static int l_headers(lua_State *L) {
  tiny_http_conn *c = tiny_request_check(L);
  const tiny_http_head *head = tiny_http_request_head(c);
  lua_createtable(L, 0, (int)head->count);
  for (unsigned i = 0; i < head->count; i++)
    add_header(L, tiny_http_request_text(c), &head->fields[i]);
  return 1;
}

/* target(id) -> as it was sent */
static int l_target(lua_State *L) {
  tiny_http_conn *c = tiny_request_check(L);
  tiny_request_push(L, tiny_http_request_text(c), tiny_http_request_head(c)->target);
  return 1;
}

/* version(id) -> "1.0" or "1.1" */
static int l_version(lua_State *L) {
  lua_pushstring(L, tiny_http_request_head(tiny_request_check(L))->minor == 0 ? "1.0" : "1.1");
  return 1;
}

/* remote(id) -> address of the client */
static int l_remote(lua_State *L) {
  tiny_endpoint_push_text(L, &tiny_request_check(L)->remote);
  return 1;
}

/* -- the body -------------------------------------------------------------- */

/* body(id) -> all of it; nil when it is larger than max_body and has to be read */
static int l_body(lua_State *L) {
  tiny_http_conn *c = tiny_request_check(L);
  if (c->large) return 0;
  lua_pushlstring(L, c->body.data + c->body.at, tiny_buffer_pending(&c->body));
  return 1;
}

static void leave_reader(tiny_task *task) { ((tiny_http_conn *)task->source)->reader = NULL; }

static int push_piece(lua_State *L, tiny_http_conn *c, size_t most) {
  size_t size = tiny_buffer_pending(&c->body);
  if (size == 0) return tiny_wait_failed(L, UV_EOF);
  if (size > most) size = most;
  tiny_wait_over(L);
  lua_pushlstring(L, c->body.data + c->body.at, size);
  c->body.at += size;
  return 3;
}

/* read(id, most, deadline) -> the next piece of the body */
static int l_read(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  size_t most = tiny_request_size(L, 2);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "req:read");
  luaL_argcheck(L, most > 0, 2, "a number of bytes above 0 is expected");
  if (!c) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  int rc = tiny_http_read_body(c, most);
  if (rc == 0) return push_piece(L, c, most);
  if (rc != UV_EAGAIN || tiny_wait_late(deadline))
    return tiny_wait_failed(L, rc == UV_EAGAIN ? UV_ETIMEDOUT : rc == UV_EOF ? UV_ECONNRESET : rc);
  if (c->reader) return luaL_error(L, "another task reads the body");
  c->reader = task;
  return tiny_task_park_until(task, leave_reader, c, deadline);
}

const luaL_Reg tiny_request_functions[] = {{"headers", l_headers},
                                           {"target", l_target},
                                           {"version", l_version},
                                           {"remote", l_remote},
                                           {"body", l_body},
                                           {"read", l_read},
                                           {NULL, NULL}};
