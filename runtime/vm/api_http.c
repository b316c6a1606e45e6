/* SPDX-License-Identifier: MIT
 * api_http.c -- tiny.core.http: servers, and what Lua asks of and answers to a request.
 *
 * Lua knows a request by a number: its place in the table of connections and its serial. Once
 * the request is over the number means nothing, and using it raises. */
#include "api_http.h"
#include "api_acceptor.h"
#include "api_address.h"
#include "api_tls.h"
#include "runtime.h"
#include "wait.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLOTS = 1 << 20, FIELDS = 16 * 1024 }; /* connections; bytes of an answer's fields */

/* -- servers --------------------------------------------------------------- */

typedef tiny_request_server server;

static void free_server(tiny_acceptor *acceptor) {
  server *s = (server *)acceptor;
  luaL_unref(s->generation->L, LUA_REGISTRYINDEX, s->entry);
  luaL_unref(s->generation->L, LUA_REGISTRYINDEX, s->carrier);
  free(s);
}

/* A task that the handler began, and left behind. */
static void fail(void **waiting) {
  if (*waiting) tiny_task_wake_failed(*waiting, UV_ECANCELED);
  *waiting = NULL;
}

/* The generation may be dead: its tasks were abandoned, and the client learns that it is not served. */
static void on_end(tiny_task *task) {
  tiny_http_conn *c = task->data;
  bool dead = task->generation->life == TINY_DEAD;
  fail(&c->reader);
  fail(&c->writer);
  tiny_task_report(task);
  if (dead && c->streams && c->events) tiny_http_events_end(c);
  tiny_http_over(c, dead ? 503 : 500, !dead);
}

void tiny_request_own(tiny_http_conn *c, tiny_task *task) {
  c->owner = task;
  task->on_end = on_end;
  task->data = c;
}

typedef struct begin_call {
  server *server;
  tiny_http_conn *conn;
  tiny_task *task;
} begin_call;

static void push_span(lua_State *L, const char *text, tiny_span span) {
  lua_pushlstring(L, text + span.at, span.size);
}

void tiny_request_push(lua_State *L, const tiny_http_conn *conn) {
  const tiny_http_head *head = tiny_http_request_head(conn);
  const char *text = tiny_http_request_text(conn);
  lua_pushnumber(L, (lua_Number)conn->serial * SLOTS + conn->slot);
  push_span(L, text, head->method);
  push_span(L, text, head->path);
  if (head->query.at)
    push_span(L, text, head->query);
  else
    lua_pushnil(L);
}

/* entry(id, method, path, query). The task comes last: nothing raises after it. */
static int begin_protected(lua_State *L) {
  begin_call *call = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->server->entry);
  tiny_request_push(L, call->conn);
  call->task = tiny_task_new(L, call->server->generation, TINY_TASK_REQUEST);
  lua_xmove(L, call->task->co, 5);
  return 0;
}

static int begin(tiny_http_server *base, tiny_http_conn *conn) {
  tiny_generation *g = ((server *)base)->generation;
  begin_call call = {(server *)base, conn, NULL};
  if (tiny_lua_call(g, begin_protected, &call) != 0) {
    tiny_err(g->runtime->log, "a request could not begin: %s", lua_tostring(g->L, -1));
    lua_pop(g->L, 1);
    return -1;
  }
  tiny_request_own(conn, call.task);
  tiny_task_run(call.task, 4);
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

static size_t check_size(lua_State *L, int index) {
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
      .max_head = check_size(L, 3),
      .max_body = check_size(L, 4),
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

/* -- asking ---------------------------------------------------------------- */

tiny_http_conn *tiny_request_find(lua_State *L) {
  uint64_t id = (uint64_t)luaL_checknumber(L, 1);
  tiny_http *http = tiny_generation_of(L)->runtime->sockets->http;
  return http ? tiny_http_busy(http, (uint32_t)(id % SLOTS), id / SLOTS) : NULL;
}

static tiny_http_conn *check(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  if (!c) luaL_error(L, "the request is over");
  return c;
}

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
    push_span(L, text, field->value);
  } else {
    lua_pushstring(L, size == 6 && memcmp(name, "cookie", 6) == 0 ? "; " : ", ");
    push_span(L, text, field->value);
    lua_concat(L, 3);
  }
  lua_rawset(L, -3);
}

/* headers(id) -> table by names in lower case */
static int l_headers(lua_State *L) {
  tiny_http_conn *c = check(L);
  const tiny_http_head *head = tiny_http_request_head(c);
  lua_createtable(L, 0, (int)head->count);
  for (unsigned i = 0; i < head->count; i++)
    add_header(L, tiny_http_request_text(c), &head->fields[i]);
  return 1;
}

/* target(id) -> as it was sent */
static int l_target(lua_State *L) {
  tiny_http_conn *c = check(L);
  push_span(L, tiny_http_request_text(c), tiny_http_request_head(c)->target);
  return 1;
}

/* version(id) -> "1.0" or "1.1" */
static int l_version(lua_State *L) {
  lua_pushstring(L, tiny_http_request_head(check(L))->minor == 0 ? "1.0" : "1.1");
  return 1;
}

/* remote(id) -> address of the client */
static int l_remote(lua_State *L) {
  tiny_endpoint_push_text(L, &check(L)->remote);
  return 1;
}

/* body(id) -> all of it; nil when it is larger than max_body and has to be read */
static int l_body(lua_State *L) {
  tiny_http_conn *c = check(L);
  if (c->large) return 0;
  lua_pushlstring(L, c->body.data + c->body.at, tiny_http_bytes_pending(&c->body));
  return 1;
}

static void leave_reader(tiny_task *task) { ((tiny_http_conn *)task->source)->reader = NULL; }

static int push_piece(lua_State *L, tiny_http_conn *c, size_t most) {
  size_t size = tiny_http_bytes_pending(&c->body);
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
  size_t most = check_size(L, 2);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "req:read");
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

/* -- answering ------------------------------------------------------------- */

typedef struct fields {
  lua_State *L;
  tiny_http_conn *conn;
  bool has_type;
  size_t used;
  char text[FIELDS];
} fields;

static bool is_named(const char *name, const char *other) { return strcasecmp(name, other) == 0; }

/* What says how the message is framed is ours to say. */
static bool is_ours(fields *f, const char *name, const char *value) {
  if (is_named(name, "connection")) {
    if (is_named(value, "close")) f->conn->close = true;
    return true;
  }
  return is_named(name, "content-length") || is_named(name, "transfer-encoding") ||
         is_named(name, "date") || is_named(name, "keep-alive");
}

/* The value on top of the stack. */
static void add_field(fields *f, const char *name, size_t name_size) {
  size_t size;
  if (!lua_isstring(f->L, -1))
    luaL_error(f->L, "header %s: a string or number is expected, got %s", name,
               luaL_typename(f->L, -1));
  lua_pushvalue(f->L, -1); /* a number would become a string in the table itself */
  const char *value = lua_tolstring(f->L, -1, &size);
  if (!is_ours(f, name, value)) {
    f->used = tiny_http_put_field(f->text, sizeof f->text, f->used, name, name_size, value, size);
    if (f->used == 0)
      luaL_error(f->L, "header %s: it cannot be sent: a control character, or too long", name);
  }
  if (is_named(name, "content-type")) f->has_type = true;
  lua_pop(f->L, 1);
}

/* The key below the top, a value or a list of values on top. */
static void add_fields(fields *f) {
  size_t size;
  if (lua_type(f->L, -2) != LUA_TSTRING)
    luaL_error(f->L, "headers: a table of names and values is expected");
  const char *name = lua_tolstring(f->L, -2, &size);
  if (!lua_istable(f->L, -1)) {
    add_field(f, name, size);
    return;
  }
  for (int i = 1, count = (int)lua_objlen(f->L, -1); i <= count; i++) {
    lua_rawgeti(f->L, -1, i);
    add_field(f, name, size);
    lua_pop(f->L, 1);
  }
}

static tiny_http_conn *check_unanswered(lua_State *L) {
  tiny_http_conn *c = check(L);
  if (c->replied) luaL_error(L, "the request was answered already");
  return c;
}

static void start(fields *f, lua_State *L) {
  f->L = L;
  f->conn = check_unanswered(L);
  f->has_type = false;
  f->used = 0;
}

static void take_headers(fields *f, int index) {
  if (lua_isnoneornil(f->L, index)) return;
  luaL_checktype(f->L, index, LUA_TTABLE);
  for (lua_pushnil(f->L); lua_next(f->L, index); lua_pop(f->L, 1)) add_fields(f);
}

static int check_status(lua_State *L, int index) {
  lua_Number status = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(status >= 200 && status <= 599 && status == (int)status))
    luaL_error(L, "status: a number from 200 to 599 is expected, got %s",
               lua_isstring(L, index) ? lua_tostring(L, index) : luaL_typename(L, index));
  return (int)status;
}

static void add_default_type(fields *f) {
  static const char type[] = "Content-Type: text/plain; charset=utf-8\r\n";
  if (f->has_type || sizeof f->text - f->used < sizeof type) return;
  memcpy(f->text + f->used, type, sizeof type - 1);
  f->used += sizeof type - 1;
}

/* answer(id, status, body, headers) */
static int l_answer(lua_State *L) {
  fields f; /* not zeroed: it is large */
  start(&f, L);
  tiny_http_answer answer = {.status = check_status(L, 2), .file = -1};
  answer.body = luaL_optlstring(L, 3, "", &answer.body_size);
  take_headers(&f, 4);
  if (answer.body_size > 0) add_default_type(&f);
  answer.fields = f.text;
  answer.fields_size = f.used;
  tiny_http_answer_all(f.conn, &answer);
  return 0;
}

/* Below a folder nothing leads out of it, symbolic links neither. */
static int open_below(const char *folder, const char *path) {
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -errno;
  int file = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  int rc = file < 0 ? -errno : file;
  close(root);
  return rc;
}

/* A regular file only. Returns its descriptor or a negative UV code. */
static int open_file(const char *folder, const char *path, struct stat *st) {
  int file = folder ? open_below(folder, path) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return folder ? file : -errno;
  if (fstat(file, st) == 0 && S_ISREG(st->st_mode)) return file;
  int rc = S_ISDIR(st->st_mode) ? UV_EISDIR : UV_EINVAL;
  close(file);
  return rc;
}

/* When a conditional request has the file as it is. */
static bool is_unchanged(const tiny_http_conn *c, const char *modified) {
  const char *text = tiny_http_request_text(c);
  const tiny_http_field *since =
      tiny_http_find(tiny_http_request_head(c), text, "If-Modified-Since");
  return since && since->value.size == strlen(modified) &&
         memcmp(text + since->value.at, modified, since->value.size) == 0;
}

static void add_modified(fields *f, const char *modified) {
  size_t used = tiny_http_put_field(f->text, sizeof f->text, f->used, "Last-Modified", 13, modified,
                                    strlen(modified));
  if (used > 0) f->used = used;
}

/* answer_file(id, status, path, headers, folder) -> true | nil, code: nothing was answered then */
static int l_answer_file(lua_State *L) {
  fields f; /* not zeroed: it is large */
  start(&f, L);
  tiny_http_answer answer = {.status = check_status(L, 2), .body = ""};
  const char *path = luaL_checkstring(L, 3), *folder = luaL_optstring(L, 5, NULL);
  struct stat st = {0};
  char modified[TINY_HTTP_TIME];
  take_headers(&f, 4);
  answer.file = open_file(folder, path, &st);
  if (answer.file < 0) {
    lua_pushnil(L);
    lua_pushinteger(L, answer.file);
    return 2;
  }
  tiny_http_format_time(st.st_mtime, modified);
  add_modified(&f, modified);
  if (answer.status == 200 && is_unchanged(f.conn, modified)) answer.status = 304;
  answer.file_size = (uint64_t)st.st_size;
  answer.fields = f.text;
  answer.fields_size = f.used;
  tiny_http_answer_all(f.conn, &answer);
  lua_pushboolean(L, 1);
  return 1;
}

/* begin(id, status, headers): an answer in pieces */
static int l_begin(lua_State *L) {
  fields f; /* not zeroed: it is large */
  start(&f, L);
  tiny_http_answer answer = {.status = check_status(L, 2), .file = -1};
  take_headers(&f, 3);
  add_default_type(&f);
  answer.fields = f.text;
  answer.fields_size = f.used;
  tiny_http_stream_begin(f.conn, &answer);
  return 0;
}

static void leave_writer(tiny_task *task) { ((tiny_http_conn *)task->source)->writer = NULL; }

/* write(id, data, deadline) -> true */
static int l_write(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "stream:write");
  if (!c || !c->streams) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  int rc = tiny_http_stream_write(c, data, size);
  if (rc == 0) return tiny_wait_true(L);
  if (rc != UV_EAGAIN || tiny_wait_late(deadline))
    return tiny_wait_failed(L, rc == UV_EAGAIN ? UV_ETIMEDOUT : rc);
  if (c->writer) return luaL_error(L, "another task writes to the stream");
  c->writer = task;
  return tiny_task_park_until(task, leave_writer, c, deadline);
}

/* finish(id): no more pieces */
static int l_finish(lua_State *L) {
  tiny_http_conn *c = tiny_request_find(L);
  if (c && c->streams) tiny_http_stream_end(c);
  return 0;
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

static const luaL_Reg functions[] = {
    {"server", l_server},
    {"headers", l_headers},
    {"target", l_target},
    {"version", l_version},
    {"remote", l_remote},
    {"body", l_body},
    {"read", l_read},
    {"answer", l_answer},
    {"answer_file", l_answer_file},
    {"begin", l_begin},
    {"write", l_write},
    {"finish", l_finish},
    {"events", tiny_l_events_begin},
    {"sent", tiny_l_events_sent},
    {NULL, NULL},
};

int luaopen_tiny_http(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
