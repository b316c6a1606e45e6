/* SPDX-License-Identifier: MIT
 * api_fetch.c -- tiny.core.fetch: HTTP requests of our own, by the plugin "curl". */
#include "fetch.h"
#include "field.h"
#include "handle.h"
#include "plugin.h"
#include "runtime.h"
#include "wait.h"

#include <stdlib.h>

/* -- the plugin ------------------------------------------------------------ */

static tiny_sockets *sockets_of(lua_State *L) { return tiny_generation_of(L)->runtime->sockets; }

static const tiny_fetch_table *open_plugin(lua_State *L, tiny_sockets *s) {
  char why[512];
  if (!s->fetch) s->fetch = tiny_plugin_table("curl", TINY_FETCH_SYMBOL, why, sizeof why);
  if (!s->fetch) luaL_error(L, "tiny.http.request: %s", why);
  if (!s->fetcher) s->fetcher = s->fetch->open(&s->runtime->loop);
  if (!s->fetcher) luaL_error(L, "not enough memory");
  return s->fetch;
}

/* -- handles --------------------------------------------------------------- */

/* What a handle's thing is: the transfer, and the task that waits for it. */
typedef struct waiting {
  const tiny_fetch_table *table;
  tiny_fetch *fetch; /* NULL once it was cancelled */
  tiny_task *task;
} waiting;

static void cancel(waiting *w) {
  if (w->fetch) w->table->drop(w->fetch);
  w->fetch = NULL;
}

static void drop(void *thing) {
  cancel(thing);
  free(thing);
}

static const tiny_handle_kind kind = {"tiny.fetch", "tiny.http.client", drop, NULL, NULL};

/* NULL when it was closed or cancelled. */
static waiting *check(lua_State *L) {
  waiting *w = tiny_handle_check(L, 1, &kind)->thing;
  return w && w->fetch ? w : NULL;
}

/* -- starting -------------------------------------------------------------- */

static uint32_t ms_field(lua_State *L, const char *name) {
  lua_Number seconds = tiny_field_number(L, 1, name, 0);
  return seconds < 2e6 ? (uint32_t)(seconds * 1000) + 1 : INT32_MAX;
}

static void read_order(lua_State *L, tiny_fetch_order *o) {
  *o = (tiny_fetch_order){
      .url = tiny_field_string(L, 1, "url"),
      .method = tiny_field_string(L, 1, "method"),
      .headers = tiny_field_list(L, 1, "lines"),
      .sends_pieces = tiny_field_set(L, 1, "sends_pieces"),
      .takes_pieces = tiny_field_set(L, 1, "stream"),
      .max_body = (size_t)tiny_field_number(L, 1, "max_body", 0),
      .timeout_ms = ms_field(L, "timeout"),
      .connect_ms = ms_field(L, "connect_timeout"),
      .redirects = (uint32_t)tiny_field_number(L, 1, "redirects", 0),
      .insecure = tiny_field_set(L, 1, "insecure"),
      .compressed = tiny_field_set(L, 1, "compressed"),
      .ca = tiny_field_string(L, 1, "ca"),
      .cert = tiny_field_string(L, 1, "cert"),
      .key = tiny_field_string(L, 1, "key"),
      .proxy = tiny_field_string(L, 1, "proxy"),
      .user = tiny_field_string(L, 1, "user"),
      .unix_path = tiny_field_string(L, 1, "unix"),
  };
  if (o->sends_pieces) return;
  lua_getfield(L, 1, "body");
  o->body = lua_tolstring(L, -1, &o->body_size);
}

static void on_told(void *owner) {
  waiting *w = owner;
  tiny_task *task = w->task;
  w->task = NULL;
  if (task) tiny_task_resume(task);
}

/* start(order) -> transfer | nil, why. The order is a table that lua/tiny/http/client.lua has checked. */
static int l_start(lua_State *L) {
  tiny_generation_acting(L, "tiny.http.request");
  tiny_sockets *s = sockets_of(L);
  const tiny_fetch_table *table = open_plugin(L, s);
  tiny_fetch_order order;
  char why[256];
  luaL_checktype(L, 1, LUA_TTABLE);
  read_order(L, &order);
  tiny_handle *handle = tiny_handle_new(L, &kind);
  waiting *w = calloc(1, sizeof *w);
  if (!w) return luaL_error(L, "not enough memory");
  w->table = table;
  w->fetch = table->start(s->fetcher, &order, on_told, w, why, sizeof why);
  if (w->fetch) {
    tiny_handle_set(handle, w);
    return 1;
  }
  free(w);
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* -- waiting --------------------------------------------------------------- */

/* A task that gives up gives up the transfer. */
static void leave(tiny_task *task) {
  waiting *w = task->source;
  w->task = NULL;
  cancel(w);
}

static int park(lua_State *L, waiting *w) {
  w->task = tiny_task_here(L, "tiny.http.request");
  return tiny_task_park(w->task, leave, w);
}

/* It failed: nil, message, NAME. */
static int push_failure(lua_State *L, const tiny_fetch_view *v) {
  tiny_wait_over(L);
  lua_pushnil(L);
  lua_pushstring(L, v->message);
  lua_pushstring(L, uv_err_name(v->code));
  return 5;
}

/* head(transfer) -> status, the lines of the head, url */
static int l_head(lua_State *L) {
  waiting *w = check(L);
  if (!w) return tiny_wait_failed(L, UV_ECANCELED);
  tiny_fetch_view v = w->table->view(w->fetch);
  if (v.over && v.code != 0) return push_failure(L, &v);
  if (!v.headed) return park(L, w);
  tiny_wait_over(L);
  lua_pushinteger(L, v.status);
  lua_pushlstring(L, v.head, v.head_size);
  lua_pushstring(L, v.url);
  return 5;
}

/* body(transfer) -> all of it */
static int l_body(lua_State *L) {
  waiting *w = check(L);
  if (!w) return tiny_wait_failed(L, UV_ECANCELED);
  tiny_fetch_view v = w->table->view(w->fetch);
  if (!v.over) return park(L, w);
  if (v.code != 0) return push_failure(L, &v);
  tiny_wait_over(L);
  lua_pushlstring(L, v.body, v.body_size);
  return 3;
}

/* read(transfer, most) -> what is there */
static int l_read(lua_State *L) {
  waiting *w = check(L);
  size_t most = (size_t)luaL_checknumber(L, 2);
  if (!w) return tiny_wait_failed(L, UV_ECANCELED);
  tiny_fetch_view v = w->table->view(w->fetch);
  if (v.body_size == 0 && !v.over) return park(L, w);
  if (v.body_size == 0 && v.code != 0) return push_failure(L, &v);
  if (v.body_size == 0) return tiny_wait_failed(L, UV_EOF);
  size_t size = v.body_size < most ? v.body_size : most;
  tiny_wait_over(L);
  lua_pushlstring(L, v.body, size);
  w->table->take(w->fetch, size);
  return 3;
}

/* feed(transfer, piece) -> true; false when no more is wanted. nil as the piece is the end */
static int l_feed(lua_State *L) {
  waiting *w = check(L);
  size_t size = 0;
  const char *piece = luaL_optlstring(L, 2, NULL, &size);
  if (!w) return tiny_wait_failed(L, UV_ECANCELED);
  tiny_fetch_view v = w->table->view(w->fetch);
  if (!v.over && !v.hungry) return park(L, w);
  if (!v.over && w->table->feed(w->fetch, piece, size) != 0) return tiny_wait_failed(L, UV_ENOMEM);
  tiny_wait_over(L);
  lua_pushboolean(L, !v.over);
  return 3;
}

/* close(transfer): it is cancelled unless it is over */
static int l_close(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  waiting *w = handle->thing;
  if (w && w->task) tiny_task_wake_failed(w->task, UV_ECANCELED);
  tiny_handle_close(handle);
  return 0;
}

static const luaL_Reg functions[] = {{"start", l_start}, {"head", l_head}, {"body", l_body},
                                     {"read", l_read},   {"feed", l_feed}, {"close", l_close},
                                     {NULL, NULL}};

int luaopen_tiny_fetch(lua_State *L) {
  tiny_handle_register(L, &kind);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
