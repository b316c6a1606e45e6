/* SPDX-License-Identifier: MIT
 * api_acceptor.c -- tiny.core.acceptor: a Lua function that is called, in a task of its own, for
 * each connection to its ports. */
#include "api_acceptor.h"
#include "api_address.h"
#include "api_tls.h"
#include "conn.h"
#include "pidfile.h"
#include "runtime.h"
#include "wait.h"

#include <stdlib.h>
#include <sys/stat.h>

typedef struct acceptor {
  tiny_acceptor base;
  tiny_generation *generation;
  int handler; /* registry reference */
} acceptor;

static void drop(void *thing) { tiny_acceptor_drop(thing); }

const tiny_handle_kind tiny_acceptor_kind = {"tiny.acceptor", "tiny.listen", drop, NULL, NULL};

static void free_acceptor(tiny_acceptor *base) {
  acceptor *a = (acceptor *)base;
  luaL_unref(a->generation->L, LUA_REGISTRYINDEX, a->handler);
  free(a);
}

/* -- a connection's task --------------------------------------------------- */

/* A handler that died cannot answer any more; one that was carried on is another's. */
static void on_end(tiny_task *task) {
  tiny_conn *c = task->data;
  if (task->failed && c->owner == task->generation->number) tiny_conn_close(c);
  tiny_conn_drop(c);
  tiny_task_report(task);
}

typedef struct arrival {
  const acceptor *acceptor;
  tiny_conn *conn;
} arrival;

/* handler(stream) */
static int push_handler(lua_State *L, void *data) {
  const arrival *a = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->acceptor->handler);
  tiny_handle *handle = tiny_handle_new(L, &tiny_conn_kind);
  a->conn->refs++;
  tiny_handle_set(handle, a->conn);
  return 2;
}

/* Takes the reference to the connection. */
static void begin(const acceptor *a, tiny_conn *c) {
  static const char what[] = "a connection was closed at once";
  tiny_task *task =
      tiny_task_begin(a->generation, TINY_TASK_REQUEST, push_handler, &(arrival){a, c}, what);
  if (!task) {
    tiny_conn_close(c);
    tiny_conn_drop(c);
    return;
  }
  task->on_end = on_end;
  task->data = c;
  tiny_task_ready(task, 1);
}

static void on_accept(tiny_acceptor *base, tiny_port *port, int fd, const tiny_endpoint *peer) {
  const acceptor *a = (acceptor *)base;
  tiny_conn *c = tiny_conn_new(a->generation, fd, peer, port);
  if (c && tiny_tls_wrap(base->tls, &c->stream, NULL) == 0) {
    begin(a, c);
    return;
  }
  tiny_err(a->generation->runtime->log, "a connection was closed at once: not enough memory");
  if (c) tiny_conn_drop(c);
}

/* -- for Lua --------------------------------------------------------------- */

unsigned tiny_acceptor_limit(lua_State *L, int index) {
  lua_Number limit = luaL_checknumber(L, index);
  return limit >= 1 && limit < 1e9 ? (unsigned)limit : 1000000000;
}

/* new(handler, limit, tls) -> acceptor */
static int l_new(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "listening");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  unsigned limit = tiny_acceptor_limit(L, 2);
  tiny_tls *tls = tiny_tls_check(L, 3);
  tiny_handle *handle = tiny_handle_new(L, &tiny_acceptor_kind);
  lua_pushvalue(L, 1);
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  acceptor *a = calloc(1, sizeof *a);
  if (!a) return luaL_error(L, "not enough memory");
  a->base = (tiny_acceptor){
      .refs = 1, .limit = limit, .accept = on_accept, .free = free_acceptor, .tls = tls};
  if (tls) tls->refs++;
  a->generation = g;
  a->handler = handler;
  tiny_handle_set(handle, a);
  return 1;
}

static int push_port(lua_State *L, const tiny_port *port, int rc) {
  if (!port) return tiny_failed(L, rc);
  tiny_endpoint_push_text(L, tiny_port_endpoint(port));
  return 1;
}

/* Whether that is the file that `tiny status` and the like find us by. */
static bool is_control_socket(const tiny_generation *g, const tiny_endpoint *e) {
  struct stat ours, theirs;
  char *path = e->any.sa_family == AF_UNIX ? tiny_pidfile_path(g->conf, ".sock") : NULL;
  bool same = path && stat(path, &ours) == 0 && stat(e->unix_path.sun_path, &theirs) == 0 &&
              ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
  free(path);
  return same;
}

static tiny_acceptor *check(lua_State *L) {
  tiny_acceptor *a = tiny_handle_check(L, 1, &tiny_acceptor_kind)->thing;
  luaL_argcheck(L, a, 1, "it is closed");
  return a;
}

/* listen(acceptor, endpoint, backlog) -> where it is bound | nil, code, perhaps why */
static int l_listen(lua_State *L) {
  int rc = UV_ECANCELED; /* on its way out it opens nothing more */
  tiny_generation *g = tiny_generation_acting(L, "listening");
  tiny_acceptor *a = check(L);
  const tiny_endpoint *e = tiny_endpoint_check(L, 2);
  int backlog = (int)luaL_checkinteger(L, 3);
  tiny_port *port = NULL;
  if (g->life == TINY_ENTERED)
    port = tiny_port_listen(&g->runtime->sockets->harbour, e, backlog, g->number, a, &rc);
  int results = push_port(L, port, rc);
  if (rc != UV_EADDRINUSE || !is_control_socket(g, e)) return results;
  lua_pushliteral(L, "this is the server's own control socket, <svr.name>.sock in svr.run_dir");
  return results + 1;
}

/* adopt(acceptor, name, nth) -> where it is bound | nil, code */
static int l_adopt(lua_State *L) {
  int rc = UV_ECANCELED;
  tiny_generation *g = tiny_generation_acting(L, "listening");
  tiny_acceptor *a = check(L);
  const char *name = luaL_checkstring(L, 2);
  int nth = (int)luaL_checkinteger(L, 3);
  tiny_port *port = NULL;
  if (g->life == TINY_ENTERED)
    port = tiny_port_adopt(&g->runtime->sockets->harbour, name, nth, g->number, a, &rc);
  return push_port(L, port, rc);
}

/* close(acceptor): let go of its ports */
static int l_close(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &tiny_acceptor_kind);
  if (!handle->thing) return 0;
  tiny_ports_release(&handle->generation->runtime->sockets->harbour, handle->thing);
  tiny_handle_close(handle);
  return 0;
}

static const luaL_Reg functions[] = {
    {"new", l_new}, {"listen", l_listen}, {"adopt", l_adopt}, {"close", l_close}, {NULL, NULL}};

int luaopen_tiny_acceptor(lua_State *L) {
  tiny_handle_register(L, &tiny_acceptor_kind);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
