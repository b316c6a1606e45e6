/* SPDX-License-Identifier: MIT
 * api_events.c -- streams of server-sent events: what Lua tells of them, and their way from one
 * generation to the next. */
#include "api_http.h"
#include "runtime.h"

#include <lauxlib.h>

/* events(id, name): what was begun streams events; name may be nil */
static int l_events(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  const char *name = luaL_optstring(L, 2, NULL);
  if (c && c->streams && tiny_http_events_begin(c, name) != 0) luaL_error(L, "not enough memory");
  return 0;
}

/* sent(id, last, retry): an event with that id, and when the client is to come again, in ms; either may be nil */
static int l_sent(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  if (!c || !c->events) return 0;
  if (!lua_isnoneornil(L, 2)) tiny_http_events_sent(c, luaL_checkstring(L, 2));
  if (!lua_isnoneornil(L, 3)) tiny_http_events_retry(c, (uint32_t)luaL_checknumber(L, 3));
  return 0;
}

const luaL_Reg tiny_event_functions[] = {{"events", l_events}, {"sent", l_sent}, {NULL, NULL}};

/* -- to the next generation ------------------------------------------------ */

typedef struct carry_call {
  const tiny_request_server *server;
  const tiny_http_conn *conn;
} carry_call;

/* carrier(id, method, path, query, name, last_id) -> function, or nil: nobody goes on with it */
static int push_carried(lua_State *L, void *data) {
  const carry_call *call = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->server->carrier);
  tiny_request_push_head(L, call->conn);
  lua_pushstring(L, call->conn->events->name);
  lua_pushstring(L, call->conn->events->last_id); /* nil for NULL */
  lua_call(L, 6, 1);
  return lua_isnil(L, -1) ? 0 : 1;
}

/* It answers no more, and is told so at its wait. */
static void dismiss(tiny_http_conn *c) {
  tiny_task *task = c->owner;
  tiny_request_fail_waits(c);
  task->on_end = tiny_task_report;
  task->data = NULL;
  tiny_task_cancel(task);
}

/* A stream that nobody goes on with stays its handler's. */
void tiny_request_carry(tiny_http_server *base, tiny_http_conn *c) {
  static const char what[] = "a stream of events could not be carried over";
  tiny_request_server *server = (tiny_request_server *)base;
  tiny_generation *g = server->generation;
  uint64_t former = c->serial;
  if (((tiny_task *)c->owner)->generation == g) return;
  tiny_http_renumber(c);
  tiny_task *task =
      tiny_task_begin(g, TINY_TASK_REQUEST, push_carried, &(carry_call){server, c}, what);
  if (!task) {
    c->serial = former;
    return;
  }
  dismiss(c);
  tiny_request_own(c, task);
  tiny_task_ready(task, 0);
}
