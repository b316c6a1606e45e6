/* SPDX-License-Identifier: MIT
 * api_zmq.c -- tiny.core.zmq: ZeroMQ sockets, by the plugin "zmq". */
#include "handle.h"
#include "plugin.h"
#include "runtime.h"
#include "wait.h"
#include "zmq_order.h"
#include "zsocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const tiny_handle_kind kind = {"tiny.zmq", "tiny.zmq", tiny_zsocket_drop, NULL, NULL};

static const tiny_zmq_table *open_plugin(lua_State *L, const char *what) {
  tiny_sockets *s = tiny_generation_of(L)->runtime->sockets;
  char why[512];
  if (!s->zmq_table) s->zmq_table = tiny_plugin_table("zmq", TINY_ZMQ_SYMBOL, why, sizeof why);
  if (!s->zmq_table) luaL_error(L, "%s: %s", what, why);
  if (!s->zmq) s->zmq = s->zmq_table->start(&s->runtime->loop);
  if (!s->zmq) luaL_error(L, "%s: not enough memory or descriptors", what);
  return s->zmq_table;
}

/* nil, "what: message", NAME */
static int push_failure(lua_State *L, const tiny_zmq_table *table, const char *what, int code) {
  const char *name;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", what, table->describe(code, &name));
  lua_pushstring(L, name);
  return 3;
}

/* -- opening --------------------------------------------------------------- */

/* Take over what is open or open a new one. Returns NULL with 'why' and 'code'; takes the holder. */
static tiny_zsocket *claim(const char *key, const char *fixed, tiny_zmq_order *order,
                           tiny_zholder *h, char *why, size_t why_size, int *code) {
  tiny_zsocket *z = tiny_zsocket_take(key, h);
  if (!z) {
    z = tiny_zsocket_open(key, fixed, order, h, why, why_size, code);
    if (!z) free(h);
    return z;
  }
  *code = z->table->change(z->zmq, order);
  return *code == 0 ? z : NULL;
}

/* open(order, key, fixed) -> socket, whether it is as ordered | nil, message, NAME */
static int l_open(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.zmq.socket");
  const tiny_zmq_table *table = open_plugin(L, "tiny.zmq.socket");
  const char *key = luaL_checkstring(L, 2), *fixed = luaL_checkstring(L, 3);
  char why[512] = "curve";
  int code = ENOMEM;
  tiny_handle *handle = tiny_handle_new(L, &kind);
  int socket = lua_gettop(L);
  tiny_zmq_order order = tiny_zmq_order_read(L, 1);
  if (g->life != TINY_ENTERED) return push_failure(L, table, "on its way out", ECANCELED);
  tiny_zholder *h = tiny_zholder_new(g); /* nothing below may raise before it is taken */
  if (!h) return push_failure(L, table, "tiny.zmq.socket", code);
  tiny_zsocket *z = claim(key, fixed, &order, h, why, sizeof why, &code);
  if (!z) return push_failure(L, table, why, code);
  z->refs++;
  tiny_handle_set(handle, z);
  lua_pushvalue(L, socket);
  lua_pushboolean(L, strcmp(z->fixed, fixed) == 0);
  return 2;
}

/* keypair() -> public, secret | nil, message, NAME */
static int l_keypair(lua_State *L) {
  const tiny_zmq_table *table = open_plugin(L, "tiny.zmq.keypair");
  char public_key[41], secret_key[41];
  int code = table->keypair(public_key, secret_key);
  if (code != 0) return push_failure(L, table, "tiny.zmq.keypair", code);
  lua_pushstring(L, public_key);
  lua_pushstring(L, secret_key);
  return 2;
}

/* -- using ----------------------------------------------------------------- */

/* NULL once it is closed. */
static tiny_zsocket *check(lua_State *L) {
  tiny_zsocket *z = tiny_handle_check(L, 1, &kind)->thing;
  return z && z->zmq ? z : NULL;
}

static bool owns(lua_State *L, const tiny_zsocket *z) {
  return z->claim.tenant.generation == tiny_generation_of(L)->number;
}

/* For the waiting one: nil, message, NAME. What the type of socket cannot do raises. */
static int fail_wait(lua_State *L, const tiny_zsocket *z, const char *what, int code) {
  const char *name, *message = z->table->describe(code, &name);
  if (code == ENOTSUP) return tiny_misuse(L, "%s: this type of socket cannot do that", what);
  tiny_wait_over(L);
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushstring(L, name);
  return 5;
}

static int push_parts(lua_State *L, const tiny_zmq_part *parts, int count) {
  luaL_checkstack(L, count + 2, "too many parts");
  tiny_wait_over(L);
  for (int i = 0; i < count; i++) lua_pushlstring(L, parts[i].data, parts[i].size);
  return count + 2;
}

/* receive(socket, deadline) -> parts */
static int l_receive(lua_State *L) {
  tiny_zsocket *z = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "zmq:recv");
  const tiny_zmq_part *parts;
  int count;
  if (!z || !owns(L, z)) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_zsocket_holder(z)->handler != LUA_NOREF)
    return tiny_misuse(L, "zmq:recv: the messages go to the socket's handler");
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  int code = tiny_zsocket_receive(z, &parts, &count);
  if (code == 0) return push_parts(L, parts, count);
  if (code != EAGAIN) return fail_wait(L, z, "zmq:recv", code);
  if (tiny_wait_late(deadline)) return tiny_wait_failed(L, UV_ETIMEDOUT);
  return tiny_zsocket_park_reader(z, task, deadline);
}

static void check_part(lua_State *L, int index, tiny_zmq_part *part) {
  if (!lua_isstring(L, index))
    tiny_misuse(L, "zmq:send: strings are expected, got %s", luaL_typename(L, index));
  part->data = lua_tolstring(L, index, &part->size);
}

static int check_count(lua_State *L, int count) {
  if (count < 1) tiny_misuse(L, "zmq:send: a message has at least one part");
  return count;
}

/* The arguments after the socket: they are on the stack while they are needed. */
static int send_arguments(lua_State *L, tiny_zsocket *z) {
  enum { FEW = 16 };
  tiny_zmq_part few[FEW], *parts = few;
  int count = check_count(L, lua_gettop(L) - 1);
  if (count > FEW) parts = lua_newuserdata(L, (size_t)count * sizeof *parts);
  for (int i = 0; i < count; i++) check_part(L, i + 2, &parts[i]);
  return tiny_zsocket_send(z, parts, count);
}

/* offer(socket, parts...) -> whether it was sent. Never waits; send() tells why not. */
static int l_offer(lua_State *L) {
  const tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  tiny_zsocket *z = handle->thing;
  tiny_task *task = handle->generation->current;
  bool may = z && z->zmq && task && task->co == L && !tiny_task_is_greedy(task);
  lua_pushboolean(L, may && send_arguments(L, z) == 0);
  return 1;
}

/* The list's strings are held by it. */
static int send_list(lua_State *L, tiny_zsocket *z, int index) {
  lua_getfield(L, index, "n");
  int count = check_count(L, (int)lua_tointeger(L, -1));
  tiny_zmq_part *parts = lua_newuserdata(L, (size_t)count * sizeof *parts);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, index, i + 1);
    check_part(L, -1, &parts[i]);
    lua_rawseti(L, index, i + 1); /* what was a number is text now */
  }
  return tiny_zsocket_send(z, parts, count);
}

/* send(socket, parts, deadline) -> true */
static int l_send(lua_State *L) {
  tiny_zsocket *z = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "zmq:send");
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!z) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  int code = send_list(L, z, 2);
  if (code == 0) return tiny_wait_true(L);
  if (code != EAGAIN) return fail_wait(L, z, "zmq:send", code);
  if (tiny_wait_late(deadline)) return tiny_wait_failed(L, UV_ETIMEDOUT);
  return tiny_zsocket_park_writer(z, task, deadline);
}

/* handle(socket, limit, fn, pump): pump(holder) calls fn with each message, up to so many at a time */
static int l_handle(lua_State *L) {
  tiny_zsocket *z = check(L);
  lua_Integer limit = luaL_checkinteger(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  if (!z || !owns(L, z)) return tiny_misuse(L, "zmq:on: the socket is closed");
  lua_settop(L, 4);
  tiny_zholder_handle(tiny_zsocket_holder(z), L, (unsigned)limit);
  tiny_zsocket_fail_readers(z);
  tiny_zsocket_want(z);
  return 0;
}

/* -- topics ---------------------------------------------------------------- */

static int subscribe(tiny_zsocket *z, const char *text, size_t size) {
  int is_new = tiny_topics_add(&z->topics, text, size);
  if (is_new <= 0) return is_new == 0 ? 0 : ENOMEM;
  int code = z->table->subscribe(z->zmq, text, size, true);
  if (code != 0) tiny_topics_remove(&z->topics, text, size);
  return code;
}

/* subscribe(socket, topic, on) -> true | nil, message, NAME */
static int l_subscribe(lua_State *L) {
  tiny_zsocket *z = check(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  bool on = lua_toboolean(L, 3);
  int code = 0;
  if (!z || !owns(L, z)) return luaL_error(L, "zmq:subscribe: the socket is closed");
  if (on)
    code = subscribe(z, text, size);
  else if (tiny_topics_remove(&z->topics, text, size))
    code = z->table->subscribe(z->zmq, text, size, false);
  if (code == ENOTSUP) return luaL_error(L, "zmq:subscribe: only SUB and XSUB do that");
  if (code != 0) return push_failure(L, z->table, "zmq:subscribe", code);
  lua_pushboolean(L, 1);
  return 1;
}

static void keep_wanted(lua_State *L, tiny_zsocket *z, int list) {
  tiny_topics_doubt(&z->topics);
  for (int i = 1, count = (int)lua_objlen(L, list); i <= count; i++) {
    size_t size;
    lua_rawgeti(L, list, i);
    const char *text = lua_tolstring(L, -1, &size);
    if (subscribe(z, text, size) != 0) luaL_error(L, "tiny.zmq.socket: not enough memory");
    lua_pop(L, 1);
  }
}

/* subscribe_only(socket, topics): to these and no others, such as the generation before had */
static int l_subscribe_only(lua_State *L) {
  tiny_zsocket *z = check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!z || !owns(L, z)) return 0;
  keep_wanted(L, z, 2);
  for (tiny_topic *t; (t = tiny_topics_take_unwanted(&z->topics)); free(t))
    z->table->subscribe(z->zmq, t->text, t->size, false);
  return 0;
}

/* -- the rest -------------------------------------------------------------- */

/* endpoint(socket) -> that was bound last; "" for none */
static int l_endpoint(lua_State *L) {
  tiny_zsocket *z = check(L);
  lua_pushstring(L, z ? z->table->endpoint(z->zmq) : "");
  return 1;
}

/* close(socket): the claim is let go, when it is ours */
static int l_close(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  tiny_zsocket *z = check(L);
  if (z && owns(L, z)) {
    tiny_zsocket_fail_readers(z);
    tiny_claims_release(&handle->generation->runtime->sockets->harbour.claims, &z->claim);
  }
  tiny_handle_close(handle);
  return 0;
}

static const luaL_Reg functions[] = {
    {"open", l_open},
    {"keypair", l_keypair},
    {"receive", l_receive},
    {"offer", l_offer},
    {"send", l_send},
    {"handle", l_handle},
    {"next", tiny_zholder_next},
    {"subscribe", l_subscribe},
    {"subscribe_only", l_subscribe_only},
    {"endpoint", l_endpoint},
    {"close", l_close},
    {NULL, NULL},
};

int luaopen_tiny_zmq(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  tiny_handle_register(L, &kind);
  lua_setfield(L, -2, "handle_type"); /* the metatable, for lua/tiny/zmq.lua */
  return 1;
}
