/* SPDX-License-Identifier: MIT
 * api_address.c -- tiny.core.address: from the text of an address to endpoints. */
#include "api_address.h"
#include "handle.h"
#include "resolver.h"
#include "runtime.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

const tiny_endpoint *tiny_endpoint_check(lua_State *L, int index) {
  size_t size;
  const char *bytes = luaL_checklstring(L, index, &size);
  luaL_argcheck(L, size == sizeof(tiny_endpoint), index, "an endpoint is expected");
  return (const tiny_endpoint *)bytes;
}

void tiny_endpoint_push(lua_State *L, const tiny_endpoint *e) {
  lua_pushlstring(L, (const char *)e, sizeof *e);
}

void tiny_endpoint_push_text(lua_State *L, const tiny_endpoint *e) {
  char text[TINY_ENDPOINT_TEXT];
  tiny_endpoint_text(e, text);
  lua_pushstring(L, text);
}

/* parse(text) -> endpoint | nil, nil, name of a passed descriptor | nil, name to look up | false, why */
static int l_parse(lua_State *L) {
  char why[320];
  tiny_address address;
  tiny_endpoint endpoint;
  const char *text = luaL_checkstring(L, 1);
  if (tiny_address_parse(text, &address, why, sizeof why) != 0) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, why);
    return 2;
  }
  if (tiny_address_literal(&address, &endpoint)) {
    tiny_endpoint_push(L, &endpoint);
    return 1;
  }
  lua_pushnil(L);
  if (address.kind == TINY_ADDRESS_FD) lua_pushnil(L);
  lua_pushstring(L, address.host);
  return lua_gettop(L) - 1;
}

/* -- looking up ------------------------------------------------------------ */

/* One lookup of a task: a handle, so that it lives from the asking to the taking of the answer. */
typedef struct question {
  tiny_asker asker;
  tiny_resolver *resolver;
  tiny_task *task; /* parked, or NULL */
  bool answered;
  int rc;
  tiny_endpoints endpoints;
} question;

static void drop(void *thing) {
  question *q = thing;
  tiny_resolver_leave(q->resolver, &q->asker);
  free(q);
}

static const tiny_handle_kind kind = {"tiny.lookup", "tiny.address", drop, NULL, NULL};

static void on_answer(tiny_asker *asker, int rc, const tiny_endpoints *endpoints) {
  question *q = (question *)asker;
  tiny_task *task = q->task;
  q->answered = true;
  q->rc = rc;
  q->endpoints = *endpoints;
  q->task = NULL;
  if (task) tiny_task_wake(task);
}

/* ask(address) -> lookup | nil, code */
static int l_ask(lua_State *L) {
  char why[320];
  tiny_address address;
  tiny_generation *g = tiny_generation_acting(L, "a lookup");
  if (tiny_address_parse(luaL_checkstring(L, 1), &address, why, sizeof why) != 0)
    return luaL_error(L, "%s", why);
  tiny_handle *handle = tiny_handle_new(L, &kind);
  question *q = calloc(1, sizeof *q);
  if (!q) return luaL_error(L, "not enough memory");
  q->asker.answer = on_answer;
  q->resolver = g->runtime->sockets->resolver;
  int rc = tiny_resolver_ask(q->resolver, &address, &q->asker);
  if (rc != 0) {
    free(q);
    return tiny_failed(L, rc);
  }
  tiny_handle_set(handle, q);
  return 1;
}

static void leave(tiny_task *task) { ((question *)task->source)->task = NULL; }

static int push_endpoints(lua_State *L, const tiny_endpoints *endpoints) {
  tiny_wait_over(L);
  lua_createtable(L, endpoints->count, 0);
  for (int i = 0; i < endpoints->count; i++) {
    tiny_endpoint_push(L, &endpoints->each[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 3;
}

/* answer(lookup, deadline) -> {endpoint...} */
static int l_answer(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  question *q = handle->thing;
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "a lookup");
  if (!q->answered && !tiny_wait_late(deadline)) {
    q->task = task;
    return tiny_task_park_until(task, leave, q, deadline);
  }
  int results = q->answered && q->rc == 0 ? push_endpoints(L, &q->endpoints)
                                          : tiny_wait_failed(L, q->answered ? q->rc : UV_ETIMEDOUT);
  tiny_handle_close(handle);
  return results;
}

static const luaL_Reg functions[] = {
    {"parse", l_parse}, {"ask", l_ask}, {"answer", l_answer}, {NULL, NULL}};

int luaopen_tiny_address(lua_State *L) {
  tiny_handle_register(L, &kind);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
