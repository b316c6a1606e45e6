/* SPDX-License-Identifier: MIT
 * api_http.c -- tiny.core.http: servers, whose requests become tasks. */
#include "api_http.h"
#include "api_acceptor.h"
#include "api_address.h"
#include "api_tls.h"
#include "runtime.h"
#include "wait.h"

#include <stdlib.h>

/* -- servers --------------------------------------------------------------- */

typedef tiny_request_server server;

static void free_server(tiny_acceptor *acceptor) {
  server *s = (server *)acceptor;
  luaL_unref(s->generation->L, LUA_REGISTRYINDEX, s->entry);
  luaL_unref(s->generation->L, LUA_REGISTRYINDEX, s->carrier);
  free(s);
}

static void fail(void **waiting) {
  if (*waiting) tiny_task_wake_failed(*waiting, UV_ECANCELED);
  *waiting = NULL;
}

void tiny_request_fail_waits(tiny_http_conn *c) {
  fail(&c->reader);
  fail(&c->writer);
}

/* The generation may be dead: its tasks were abandoned, and the client learns that it is not served. */
static void on_end(tiny_task *task) {
  tiny_http_conn *c = task->data;
  bool dead = task->generation->life == TINY_DEAD;
  tiny_request_fail_waits(c);
  tiny_task_report(task);
  if (dead && c->streams && c->events) tiny_http_events_end(c);
  tiny_http_over(c, dead ? 503 : 500, !dead);
}

void tiny_request_own(tiny_http_conn *c, tiny_task *task) {
  c->owner = task;
  task->on_end = on_end;
  task->data = c;
}

typedef struct request {
  const server *server;
  tiny_http_conn *conn;
} request;

/* entry(id, method, path, query) */
static int push_entry(lua_State *L, void *data) {
  const request *r = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->server->entry);
  tiny_request_push_head(L, r->conn);
  return 5;
}

static int begin(tiny_http_server *base, tiny_http_conn *conn) {
  const server *s = (server *)base;
  tiny_task *task = tiny_task_begin(s->generation, TINY_TASK_REQUEST, push_entry,
                                    &(request){s, conn}, "a request could not begin");
  if (!task) return -1;
  tiny_request_own(conn, task);
  tiny_task_run(task, 4);
  return 0;
}

static tiny_http *http_of(lua_State *L) {
  tiny_sockets *sockets = tiny_generation_of(L)->runtime->sockets;
  if (!sockets->http) sockets->http = tiny_http_open(&sockets->harbour, &tiny_request_hooks);
  if (!sockets->http) luaL_error(L, "not enough memory");
  return sockets->http;
}

static uint32_t check_ms(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds > 0, index, "seconds above 0 are expected");
  return seconds < 4e6 ? (uint32_t)(seconds * 1000) + 1 : UINT32_MAX;
}

size_t tiny_request_size(lua_State *L, int index) {
  lua_Number size = luaL_checknumber(L, index);
  luaL_argcheck(L, size >= 0, index, "a number of bytes is expected");
  return size < 1e15 ? (size_t)size : SIZE_MAX / 2;
}

/* server(entry, limit, max_head, max_body, idle, head, body, write, watches, tls, carrier) -> acceptor */
static int l_server(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.http.serve");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 11, LUA_TFUNCTION);
  tiny_http_server settings = {
      .acceptor = {.refs = 1,
                   .limit = tiny_acceptor_limit(L, 2),
                   .free = free_server,
                   .tls = tiny_tls_check(L, 10)},
      .max_head = tiny_request_size(L, 3),
      .max_body = tiny_request_size(L, 4),
      .idle_ms = check_ms(L, 5),
      .head_ms = check_ms(L, 6),
      .body_ms = check_ms(L, 7),
      .write_ms = check_ms(L, 8),
      .watches = lua_toboolean(L, 9),
      .begin = begin,
      .carry = tiny_request_carry,
  };
  tiny_http_server_init(&settings, http_of(L));
  tiny_handle *handle = tiny_handle_new(L, &tiny_acceptor_kind);
  lua_pushvalue(L, 1);
  int entry = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 11);
  int carrier = luaL_ref(L, LUA_REGISTRYINDEX);
  server *s = calloc(1, sizeof *s);
  if (!s) return luaL_error(L, "not enough memory");
  *s = (server){settings, g, entry, carrier};
  if (settings.acceptor.tls) settings.acceptor.tls->refs++;
  tiny_handle_set(handle, s);
  return 1;
}

/* -- what the connection tells --------------------------------------------- */

static void wake(void **slot) {
  tiny_task *task = *slot;
  *slot = NULL;
  tiny_task_resume(task);
}

static void on_readable(tiny_http_conn *c) { wake(&c->reader); }

static void on_writable(tiny_http_conn *c) { wake(&c->writer); }

static void on_gone(tiny_http_conn *c) {
  if (c->owner) tiny_task_cancel(c->owner);
}

const tiny_http_hooks tiny_request_hooks = {on_readable, on_writable, on_gone};

static const luaL_Reg functions[] = {{"server", l_server}, {NULL, NULL}};

int luaopen_tiny_http(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  luaL_register(L, NULL, tiny_request_functions);
  luaL_register(L, NULL, tiny_answer_functions);
  luaL_register(L, NULL, tiny_event_functions);
  return 1;
}
