/* SPDX-License-Identifier: MIT
 * api_tls.c -- tiny.core.tls: settings for servers and clients, by the plugin "tls". */
#include "api_tls.h"
#include "conn.h"
#include "field.h"
#include "plugin.h"
#include "runtime.h"
#include "wait.h"

static void drop(void *thing) { tiny_tls_drop(thing); }

static const tiny_handle_kind kind = {"tiny.tls", "tiny.tls", drop, NULL, NULL};

tiny_tls *tiny_tls_check(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return NULL;
  tiny_tls *tls = tiny_handle_check(L, index, &kind)->thing;
  luaL_argcheck(L, tls, index, "it is closed");
  return tls;
}

static const tiny_tls_table *open_plugin(lua_State *L) {
  static const tiny_tls_table *_Atomic found; /* of the process: it is never closed */
  char why[512];
  if (!found) found = tiny_plugin_table("tls", TINY_TLS_SYMBOL, why, sizeof why);
  if (!found) luaL_error(L, "tls: %s", why);
  return found;
}

/* open(server, {cert=, key=, ca=, insecure=}) -> settings | nil, why. Lua has checked the table. */
static int l_open(lua_State *L) {
  const tiny_tls_table *table = open_plugin(L);
  char why[512];
  luaL_checktype(L, 2, LUA_TTABLE);
  tiny_tls_order order = {.server = lua_toboolean(L, 1),
                          .cert = tiny_field_string(L, 2, "cert"),
                          .key = tiny_field_string(L, 2, "key"),
                          .ca = tiny_field_string(L, 2, "ca"),
                          .insecure = tiny_field_set(L, 2, "insecure")};
  tiny_handle *handle = tiny_handle_new(L, &kind);
  tiny_tls *tls = table->open(&order, why, sizeof why);
  if (tls) {
    tiny_handle_set(handle, tls);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* close(settings): what was made with them goes on */
static int l_close(lua_State *L) {
  tiny_handle_close(tiny_handle_check(L, 1, &kind));
  return 0;
}

/* -- the handshake --------------------------------------------------------- */

static void leave(tiny_task *task) { ((tiny_conn *)task->source)->reader = NULL; }

static int push_problem(lua_State *L, const char *problem, int code) {
  tiny_wait_over(L);
  lua_pushnil(L);
  lua_pushstring(L, problem);
  lua_pushstring(L, uv_err_name(code));
  return 5;
}

/* shake(stream, settings, name, deadline) -> true. What came through a listener is wrapped already. */
static int l_shake(lua_State *L) {
  tiny_conn *c = tiny_handle_check(L, 1, &tiny_conn_kind)->thing;
  tiny_tls *tls = tiny_tls_check(L, 2);
  const char *name = luaL_optstring(L, 3, NULL);
  uint64_t deadline = tiny_wait_deadline(L, 4);
  tiny_task *task = tiny_task_here(L, "tiny.tcp.connect");
  if (!c || !tiny_stream_is_open(&c->stream)) return tiny_wait_failed(L, UV_ECANCELED);
  bool wrapped = c->stream.channel_data;
  if (!wrapped && tiny_tls_wrap(tls, &c->stream, name) != 0) return tiny_wait_failed(L, UV_ENOMEM);
  int rc = tiny_tls_shake(tls, &c->stream);
  if (rc == 0) return tiny_wait_true(L);
  if (rc != UV_EAGAIN) return push_problem(L, tiny_tls_problem(tls, &c->stream), rc);
  if (tiny_wait_late(deadline)) return tiny_wait_failed(L, UV_ETIMEDOUT);
  c->reader = task;
  return tiny_task_park_until(task, leave, c, deadline);
}

static const luaL_Reg functions[] = {
    {"open", l_open}, {"close", l_close}, {"shake", l_shake}, {NULL, NULL}};

int luaopen_tiny_tls(lua_State *L) {
  tiny_handle_register(L, &kind);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
