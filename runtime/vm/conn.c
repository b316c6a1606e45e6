/* SPDX-License-Identifier: MIT
 * conn.c -- streams and the tasks that wait for them; tiny.core.stream. */
#include "conn.h"
#include "api_address.h"
#include "runtime.h"
#include "wait.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* -- life ------------------------------------------------------------------ */

/* A writer stays the writer until it has written all, so that nobody writes in between. */
static void on_event(tiny_stream *stream) {
  tiny_conn *c = (tiny_conn *)stream;
  tiny_task *reader = c->reader;
  c->refs++;
  c->reader = NULL;
  if (reader) tiny_task_resume(reader);
  if (c->writer) tiny_task_resume(c->writer);
  tiny_conn_drop(c);
}

tiny_conn *tiny_conn_new(tiny_generation *g, int fd, const tiny_endpoint *remote, tiny_port *port) {
  tiny_conn *c = calloc(1, sizeof *c);
  tiny *rt = g->runtime;
  if (!c) {
    close(fd);
    return NULL;
  }
  if (tiny_stream_open(&c->stream, rt->sockets->harbour.poller, fd, on_event) != 0) {
    free(c);
    return NULL;
  }
  c->runtime = rt;
  c->refs = 1;
  c->owner = g->number;
  c->remote = *remote;
  c->port = port;
  if (port) tiny_port_join(port);
  atomic_fetch_add_explicit(&rt->state.connections, 1, memory_order_relaxed);
  return c;
}

static void fail_reader(tiny_conn *c) {
  if (c->reader) tiny_task_wake_failed(c->reader, UV_ECANCELED);
  c->reader = NULL;
}

void tiny_conn_close(tiny_conn *c) {
  if (!tiny_stream_is_open(&c->stream)) return;
  tiny_stream_close(&c->stream);
  atomic_fetch_sub_explicit(&c->runtime->state.connections, 1, memory_order_relaxed);
  if (c->port) tiny_port_leave(c->port);
  fail_reader(c);
  if (c->writer) tiny_task_wake_failed(c->writer, UV_ECANCELED);
  c->writer = NULL;
  tiny_waiters_wake(&c->writers, UINT_MAX);
}

void tiny_conn_drop(tiny_conn *c) {
  if (--c->refs > 0) return;
  tiny_conn_close(c);
  free(c);
}

/* -- handles --------------------------------------------------------------- */

static void drop(void *thing) { tiny_conn_drop(thing); }

static void hold(void *thing) { ((tiny_conn *)thing)->refs++; }

static void move(void *thing, const tiny_generation *g) {
  tiny_conn *c = thing;
  c->owner = g->number;
  fail_reader(c);
}

const tiny_handle_kind tiny_conn_kind = {"tiny.stream", "tiny.stream", drop, hold, move};

/* NULL once it is closed. */
static tiny_conn *check(lua_State *L) {
  tiny_conn *c = tiny_handle_check(L, 1, &tiny_conn_kind)->thing;
  return c && tiny_stream_is_open(&c->stream) ? c : NULL;
}

static bool owns(lua_State *L, const tiny_conn *c) {
  return c->owner == tiny_generation_of(L)->number;
}

/* -- reading --------------------------------------------------------------- */

static void leave_reader(tiny_task *task) { ((tiny_conn *)task->source)->reader = NULL; }

/* what: nil is what there is, a number so many bytes, "*l" a line; limit: the most of it */
static tiny_wish check_wish(lua_State *L) {
  size_t limit = (size_t)luaL_optinteger(L, 3, 65536);
  if (lua_isnoneornil(L, 2)) return (tiny_wish){TINY_READ_SOME, limit};
  if (lua_type(L, 2) == LUA_TNUMBER)
    return (tiny_wish){TINY_READ_EXACTLY, (size_t)lua_tonumber(L, 2)};
  return (tiny_wish){TINY_READ_LINE, limit};
}

/* read(stream, what, limit, deadline) -> string. Whoever reads last has it: a task that waits
 * for the same stream is told that it is no longer meant. */
static int l_read(lua_State *L) {
  tiny_conn *c = check(L);
  tiny_wish wish = check_wish(L);
  uint64_t deadline = tiny_wait_deadline(L, 4);
  tiny_task *task = tiny_task_here(L, "stream:read");
  tiny_bytes bytes;
  if (!c || !owns(L, c)) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  fail_reader(c);
  int rc = tiny_stream_read(&c->stream, wish, &bytes);
  if (rc == UV_EAGAIN && !tiny_wait_late(deadline)) {
    c->reader = task;
    return tiny_task_park_until(task, leave_reader, c, deadline);
  }
  if (rc != 0) return tiny_wait_failed(L, rc == UV_EAGAIN ? UV_ETIMEDOUT : rc);
  tiny_wait_over(L);
  lua_pushlstring(L, bytes.data, bytes.size);
  tiny_stream_rest(&c->stream);
  return 3;
}

/* -- writing --------------------------------------------------------------- */

static void end_writing(tiny_conn *c) {
  c->writer = NULL;
  tiny_waiters_wake(&c->writers, UINT_MAX);
}

/* Who is cancelled while it writes, by a reload above all, has written: the stream goes on with it. */
static bool keeps(const tiny_task *task) {
  return task->cancelled || task->generation->life == TINY_DEAD;
}

static void leave_writer(tiny_task *task) {
  tiny_conn *c = task->source;
  if (keeps(task))
    tiny_stream_keep(&c->stream, task->text, task->text_size, true);
  else
    tiny_stream_cut(&c->stream);
  end_writing(c);
}

static void leave_writers(tiny_task *task) {
  tiny_conn *c = task->source;
  tiny_waiters_remove(&c->writers, task);
  if (keeps(task)) tiny_stream_keep(&c->stream, task->text, task->text_size, false);
}

/* One that was cancelled before and writes all the same is not kept, unless some of it is out. */
static int park_writer(tiny_conn *c, tiny_task *task, tiny_bytes written, uint64_t deadline) {
  bool first = !c->writer || c->writer == task;
  bool begun = !task->cancelled || (first && c->stream.sent > 0);
  task->text = written.data;
  task->text_size = begun ? written.size : 0;
  if (first) {
    c->writer = task;
    return tiny_task_park_until(task, leave_writer, c, deadline);
  }
  tiny_waiters_add(&c->writers, task);
  return tiny_task_park_until(task, leave_writers, c, deadline);
}

/* write(stream, data, deadline) -> true */
static int l_write(lua_State *L) {
  tiny_conn *c = check(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "stream:write");
  int rc = UV_EAGAIN;
  if (!c) return tiny_wait_failed(L, UV_ECANCELED);
  if (c->writer != task && tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  bool late = tiny_wait_late(deadline);
  if (!late && (!c->writer || c->writer == task)) rc = tiny_stream_write(&c->stream, data, size);
  if (!late && rc == UV_EAGAIN) return park_writer(c, task, (tiny_bytes){data, size}, deadline);
  if (c->writer == task) {
    tiny_stream_cut(&c->stream);
    end_writing(c);
  }
  if (rc != 0) return tiny_wait_failed(L, late ? UV_ETIMEDOUT : rc);
  return tiny_wait_true(L);
}

/* finish(stream, deadline) -> true: no more will be written */
static int l_finish(lua_State *L) {
  tiny_conn *c = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "stream:shutdown");
  if (!c) return tiny_wait_failed(L, UV_ECANCELED);
  bool late = tiny_wait_late(deadline), mine = !c->writer || c->writer == task;
  int rc = mine ? tiny_stream_finish(&c->stream) : UV_EAGAIN;
  if (rc == UV_EAGAIN && !late) return park_writer(c, task, (tiny_bytes){0}, deadline);
  if (c->writer == task) end_writing(c);
  if (rc != 0) return tiny_wait_failed(L, late ? UV_ETIMEDOUT : rc);
  return tiny_wait_true(L);
}

/* -- connecting ------------------------------------------------------------ */

/* Returns a descriptor on its way to 'e', or a negative UV code. */
static int start_connecting(const tiny_endpoint *e) {
  int on = 1, fd = socket(e->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (e->any.sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, &e->any, e->size) == 0 || errno == EINPROGRESS) return fd;
  int rc = -errno;
  close(fd);
  return rc;
}

/* open(endpoint) -> stream, not yet connected | nil, code */
static int l_open(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.tcp.connect");
  const tiny_endpoint *e = tiny_endpoint_check(L, 1);
  tiny_handle *handle = tiny_handle_new(L, &tiny_conn_kind);
  int fd = start_connecting(e);
  tiny_conn *c = fd >= 0 ? tiny_conn_new(g, fd, e, NULL) : NULL;
  if (!c) return tiny_failed(L, fd < 0 ? fd : UV_ENOMEM);
  tiny_handle_set(handle, c);
  return 1;
}

/* The kernel may connect a socket with itself when nobody listens on a local port. */
static bool is_itself(int fd, const tiny_endpoint *peer) {
  tiny_endpoint own = {.size = sizeof own.unix_path};
  if (peer->any.sa_family == AF_UNIX) return false;
  return getsockname(fd, &own.any, &own.size) == 0 && tiny_endpoint_same(&own, peer);
}

/* Returns 0, UV_EAGAIN as long as it is on its way, or why it failed. */
static int connected(int fd) {
  int code = 0;
  socklen_t size = sizeof code;
  tiny_endpoint peer = {.size = sizeof peer.unix_path};
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code) return -code;
  if (getpeername(fd, &peer.any, &peer.size) != 0) return errno == ENOTCONN ? UV_EAGAIN : -errno;
  return is_itself(fd, &peer) ? UV_ECONNREFUSED : 0;
}

/* connected(stream, deadline) -> true */
static int l_connected(lua_State *L) {
  tiny_conn *c = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "tiny.tcp.connect");
  int rc = c ? connected(c->stream.poll.fd) : UV_ECANCELED;
  if (rc == UV_EAGAIN && !tiny_wait_late(deadline)) {
    c->reader = task;
    return tiny_task_park_until(task, leave_reader, c, deadline);
  }
  if (rc != 0) return tiny_wait_failed(L, rc == UV_EAGAIN ? UV_ETIMEDOUT : rc);
  return tiny_wait_true(L);
}

/* -- the rest -------------------------------------------------------------- */

/* close(stream): one that was carried on into a newer generation is closed there */
static int l_close(lua_State *L) {
  tiny_conn *c = check(L);
  if (c && owns(L, c)) tiny_conn_close(c);
  return 0;
}

/* remote(stream) -> address of the peer, "" for an unnamed one */
static int l_remote(lua_State *L) {
  tiny_conn *c = tiny_handle_check(L, 1, &tiny_conn_kind)->thing;
  char text[TINY_ENDPOINT_TEXT] = "";
  if (c) tiny_endpoint_text(&c->remote, text);
  lua_pushstring(L, text);
  return 1;
}

/* is_open(stream) -> bool: neither closed nor carried on */
static int l_is_open(lua_State *L) {
  tiny_conn *c = check(L);
  lua_pushboolean(L, c && owns(L, c));
  return 1;
}

static const luaL_Reg functions[] = {
    {"read", l_read},     {"write", l_write},         {"finish", l_finish},
    {"open", l_open},     {"connected", l_connected}, {"close", l_close},
    {"remote", l_remote}, {"is_open", l_is_open},     {NULL, NULL},
};

int luaopen_tiny_stream(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  tiny_handle_register(L, &tiny_conn_kind);
  lua_setfield(L, -2, "handle"); /* the metatable, for lua/tiny/stream.lua */
  return 1;
}
