/* SPDX-License-Identifier: MIT
 * api_answer.c -- what Lua answers to a request. */
#include "api_http.h"
#include "http_file.h"
#include "wait.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

enum { FIELDS = 16 * 1024 }; /* bytes of an answer's fields */

/* -- fields ---------------------------------------------------------------- */

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

/* Raise "the answer to GET /path: message". */
static void refuse(lua_State *L, const tiny_http_conn *c, const char *format, ...) {
  const tiny_http_head *head = tiny_http_request_head(c);
  const char *text = tiny_http_request_text(c);
  va_list args;
  lua_pushliteral(L, "the answer to ");
  tiny_request_push(L, text, head->method);
  lua_pushliteral(L, " ");
  tiny_request_push(L, text, head->path);
  lua_pushliteral(L, ": ");
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 6);
  lua_error(L);
}

/* The value on top of the stack. */
static void add_field(fields *f, const char *name, size_t name_size) {
  size_t size;
  if (!lua_isstring(f->L, -1))
    refuse(f->L, f->conn, "header %s: a string or number is expected, got %s", name,
           luaL_typename(f->L, -1));
  lua_pushvalue(f->L, -1); /* a number would become a string in the table itself */
  const char *value = lua_tolstring(f->L, -1, &size);
  if (!is_ours(f, name, value)) {
    f->used = tiny_http_put_field(f->text, sizeof f->text, f->used, name, name_size, value, size);
    if (f->used == 0)
      refuse(f->L, f->conn, "header %s: it cannot be sent: a control character, or too long", name);
  }
  if (is_named(name, "content-type")) f->has_type = true;
  lua_pop(f->L, 1);
}

/* The key below the top, a value or a list of values on top. */
static void add_fields(fields *f) {
  size_t size;
  if (lua_type(f->L, -2) != LUA_TSTRING)
    refuse(f->L, f->conn, "headers: a table of names and values is expected");
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
  tiny_http_conn *c = tiny_request_check(L);
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
  if (!lua_istable(f->L, index))
    refuse(f->L, f->conn, "headers: a table is expected, got %s", luaL_typename(f->L, index));
  for (lua_pushnil(f->L); lua_next(f->L, index); lua_pop(f->L, 1)) add_fields(f);
}

static int check_status(const fields *f, int index) {
  lua_State *L = f->L;
  lua_Number status = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(status >= 200 && status <= 599 && status == (int)status))
    refuse(L, f->conn, "status: a number from 200 to 599 is expected, got %s",
           lua_isstring(L, index) ? lua_tostring(L, index) : luaL_typename(L, index));
  return (int)status;
}

static void add_default_type(fields *f) {
  static const char type[] = "Content-Type: text/plain; charset=utf-8\r\n";
  if (f->has_type || sizeof f->text - f->used < sizeof type) return;
  memcpy(f->text + f->used, type, sizeof type - 1);
  f->used += sizeof type - 1;
}

/* -- at once --------------------------------------------------------------- */

static const char *take_body(const fields *f, int index, size_t *size) {
  *size = 0;
  if (lua_isnoneornil(f->L, index)) return "";
  const char *body = lua_tolstring(f->L, index, size);
  if (!body)
    refuse(f->L, f->conn, "body: a string or {file=path} is expected, got %s",
           luaL_typename(f->L, index));
  return body;
}

/* answer(id, status, body, headers) */
static int l_answer(lua_State *L) {
  fields f; /* not zeroed: it is large */
  start(&f, L);
  tiny_http_answer answer = {.status = check_status(&f, 2), .file = -1};
  answer.body = take_body(&f, 3, &answer.body_size);
  take_headers(&f, 4);
  if (answer.body_size > 0) add_default_type(&f);
  answer.fields = f.text;
  answer.fields_size = f.used;
  tiny_http_answer_all(f.conn, &answer);
  return 0;
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
  tiny_http_answer answer = {.status = check_status(&f, 2), .body = ""};
  if (!lua_isstring(L, 3))
    refuse(L, f.conn, "body: a string or {file=path} is expected, got a table");
  const char *path = lua_tostring(L, 3), *folder = luaL_optstring(L, 5, NULL);
  struct stat st = {0};
  char modified[TINY_HTTP_TIME];
  take_headers(&f, 4);
  answer.file = tiny_http_open_file(folder, path, &st);
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

/* -- in pieces ------------------------------------------------------------- */

/* begin(id, status, headers): an answer in pieces */
static int l_begin(lua_State *L) {
  fields f; /* not zeroed: it is large */
  start(&f, L);
  tiny_http_answer answer = {.status = check_status(&f, 2), .file = -1};
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

const luaL_Reg tiny_answer_functions[] = {{"answer", l_answer}, {"answer_file", l_answer_file},
                                          {"begin", l_begin},   {"write", l_write},
                                          {"finish", l_finish}, {NULL, NULL}};
