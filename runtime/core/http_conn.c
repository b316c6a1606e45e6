/* SPDX-License-Identifier: MIT
 * http_conn.c -- one HTTP connection from phase to phase. */
#include "http_conn.h"
#include "tls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 64, LINGER_MS = 2000, LINGER_BYTES = 1024 * 1024 }; /* steps in one turn */

static const tiny_http_server nobody = {
    .max_head = 16384, .idle_ms = 1000, .head_ms = 1000, .body_ms = 1000, .write_ms = 10000};

const tiny_http_server *tiny_http_settings(const tiny_http_conn *c) {
  const tiny_http_server *server = tiny_http_server_of(c);
  return server ? server : &nobody;
}

tiny_http_server *tiny_http_server_of(const tiny_http_conn *c) {
  tiny_acceptor *acceptor = tiny_port_acceptor(c->port);
  return acceptor && acceptor->accept == tiny_http_accept ? (tiny_http_server *)acceptor : NULL;
}

/* -- life ------------------------------------------------------------------ */

void tiny_http_drop(tiny_http_conn *c) {
  if (--c->refs == 0) free(c);
}

static void free_request(tiny_http_conn *c) {
  if (c->request) tiny_http_request_free(c->http, c->request);
  c->request = NULL;
  tiny_buffer_free(&c->body);
  tiny_http_events_free(c);
}

void tiny_http_end(tiny_http_conn *c) {
  if (c->phase == TINY_HTTP_CLOSED) return;
  c->phase = TINY_HTTP_CLOSED;
  tiny_http_unlist(c);
  free_request(c);
  tiny_buffer_free(&c->out);
  if (c->file >= 0) close(c->file);
  if (c->failed) c->stream.broken = c->failed; /* that is no proper end */
  tiny_stream_close(&c->stream);
  tiny_port_leave(c->port);
  atomic_fetch_sub_explicit(c->http->harbour->connections, 1, memory_order_relaxed);
  tiny_http_drop(c);
}

/* -- refusing -------------------------------------------------------------- */

/* An answer of our own. */
static void answer_status(tiny_http_conn *c, int status) {
  static const char fields[] = "Content-Type: text/plain; charset=utf-8\r\n";
  char body[64];
  int size = snprintf(body, sizeof body, "%s\n", tiny_http_reason(status));
  tiny_http_answer answer = {.status = status,
                             .fields = fields,
                             .fields_size = sizeof fields - 1,
                             .body = body,
                             .body_size = (size_t)size,
                             .file = -1};
  tiny_http_answer_all(c, &answer);
}

static void finish_answer(tiny_http_conn *c) {
  c->phase = TINY_HTTP_FLUSH;
  c->mark = 0;
  tiny_http_due(c, tiny_http_settings(c)->write_ms);
}

/* What still comes is not another request. */
bool tiny_http_refuse(tiny_http_conn *c, int status) {
  c->close = true;
  c->body_over = false;
  answer_status(c, status);
  finish_answer(c);
  return true;
}

/* -- the head -------------------------------------------------------------- */

static bool take_head(tiny_http_conn *c, const char *data, size_t size) {
  tiny_http_request *r = tiny_http_request_new(c->http, size);
  if (!r) return tiny_http_refuse(c, 503);
  c->request = r;
  c->serial = ++c->http->serial;
  memcpy(r->text, data, size);
  int rc = tiny_http_read_head(r->text, size, &r->head);
  tiny_stream_skip(&c->stream, size);
  if (rc != 0) return tiny_http_refuse(c, -rc);
  const tiny_http_server *s = tiny_http_settings(c);
  c->left = r->head.length;
  c->chunks = (tiny_chunks){0};
  c->body_over = !r->head.chunked && c->left == 0;
  c->large = !r->head.chunked && c->left > s->max_body;
  c->phase = c->body_over || c->large ? TINY_HTTP_READY : TINY_HTTP_BODY;
  c->mark = 0;
  tiny_http_due(c, c->phase == TINY_HTTP_BODY ? s->body_ms : 0);
  if (c->phase == TINY_HTTP_BODY) tiny_http_continue(c);
  return true;
}

/* The time for a head runs from its first byte, however slowly the others come. */
static bool await_head(tiny_http_conn *c) {
  if (c->scan.at > 0 && !c->mark) {
    c->mark = 1;
    tiny_http_due(c, tiny_http_settings(c)->head_ms);
  }
  return false;
}

static bool step_head(tiny_http_conn *c) {
  size_t limit = tiny_http_settings(c)->max_head;
  for (;;) {
    tiny_bytes in = tiny_stream_peek(&c->stream);
    int rc = tiny_http_scan_head(&c->scan, in.data, in.size, limit);
    if (rc > 0) return take_head(c, in.data, (size_t)rc);
    if (rc < 0) return tiny_http_refuse(c, -rc);
    rc = tiny_stream_fill(&c->stream);
    if (rc == UV_EAGAIN) return await_head(c);
    if (rc == 0) continue;
    tiny_http_end(c);
    return false;
  }
}

/* -- the handler ----------------------------------------------------------- */

static bool step_ready(tiny_http_conn *c) {
  tiny_http_server *s = tiny_http_server_of(c);
  if (!c->http->flows) {
    tiny_http_wait(c);
    return false;
  }
  if (!s) return tiny_http_refuse(c, 503);
  c->phase = TINY_HTTP_BUSY;
  c->refs++; /* the handler's */
  if (s->begin(s, c) == 0) return c->phase != TINY_HTTP_BUSY;
  tiny_http_drop(c);
  return tiny_http_refuse(c, 500);
}

/* Something came while a handler is at work. */
static bool step_busy(tiny_http_conn *c) {
  const tiny_http_hooks *hooks = c->http->hooks;
  bool waits = tiny_buffer_pending(&c->out) > 0 || c->file >= 0;
  if (waits && tiny_http_flush(c) != UV_EAGAIN && c->writer) hooks->writable(c);
  if (c->phase == TINY_HTTP_BUSY && c->reader) hooks->readable(c);
  bool left = c->phase == TINY_HTTP_BUSY && c->stream.hung_up && tiny_http_settings(c)->watches;
  if (left) hooks->gone(c);
  return c->phase != TINY_HTTP_BUSY;
}

/* A stream that its handler did not end is cut short, and the client has to see that. */
void tiny_http_over(tiny_http_conn *c, int status, bool now) {
  if (!c->replied) answer_status(c, status);
  if (c->streams && !c->failed) c->failed = UV_ECANCELED;
  finish_answer(c);
  c->owner = NULL;
  if (!now)
    tiny_http_kick(c);
  else if (!c->running)
    tiny_http_run(c);
  tiny_http_drop(c);
}

/* -- the end of the answer ------------------------------------------------- */

/* What was sent renews the time for the rest, so much at a time. */
static bool await_flush(tiny_http_conn *c) {
  uint64_t left = tiny_buffer_pending(&c->out) + c->file_left;
  if (c->mark && left + TINY_HTTP_MARK > c->mark) return false;
  c->mark = left;
  tiny_http_due(c, tiny_http_settings(c)->write_ms);
  return false;
}

static void next_request(tiny_http_conn *c) {
  free_request(c);
  c->scan = (tiny_http_scan){0, 0};
  c->replied = c->streams = c->chunked = c->mute = c->large = false;
  c->mark = 0;
  c->phase = TINY_HTTP_HEAD;
  tiny_http_due(c, tiny_http_settings(c)->idle_ms);
}

/* Closing with bytes unread resets the connection, and the client might lose the answer: wait for
 * its end unless it was told that this is the last. */
static bool hang_up(tiny_http_conn *c) {
  bool last = c->body_over && (c->http->stops || !c->request->head.keep_alive);
  int rc = tiny_stream_finish(&c->stream);
  if (rc == UV_EAGAIN) return await_flush(c);
  free_request(c);
  if (last || rc != 0) {
    tiny_http_end(c);
    return false;
  }
  c->phase = TINY_HTTP_LINGER;
  c->mark = 0;
  tiny_http_due(c, LINGER_MS);
  return true;
}

static bool step_flush(tiny_http_conn *c) {
  int rc = tiny_http_flush(c);
  if (rc == UV_EAGAIN) return await_flush(c);
  if (rc != 0) {
    tiny_http_end(c);
    return false;
  }
  if (c->close || c->http->stops) return hang_up(c);
  next_request(c);
  return true;
}

static bool step_linger(tiny_http_conn *c) {
  int rc;
  while ((rc = tiny_stream_fill(&c->stream)) == 0 && c->mark < LINGER_BYTES) {
    size_t size = tiny_stream_peek(&c->stream).size;
    c->mark += size;
    tiny_stream_skip(&c->stream, size);
  }
  if (rc != UV_EAGAIN) tiny_http_end(c);
  return false;
}

/* -- turning --------------------------------------------------------------- */

/* Returns whether there is more to do at once. */
static bool step(tiny_http_conn *c) {
  switch (c->phase) {
  case TINY_HTTP_HEAD: return step_head(c);
  case TINY_HTTP_BODY: return tiny_http_step_body(c);
  case TINY_HTTP_READY: return step_ready(c);
  case TINY_HTTP_BUSY: return step_busy(c);
  case TINY_HTTP_FLUSH: return step_flush(c);
  case TINY_HTTP_LINGER: return step_linger(c);
  default: return false;
  }
}

void tiny_http_run(tiny_http_conn *c) {
  int steps = 0;
  c->refs++;
  c->running = true;
  while (steps < STEPS && step(c)) steps++;
  c->running = false;
  if (steps == STEPS) tiny_http_kick(c); /* others want their turn */
  tiny_http_drop(c);
}

/* Who was slow with a request is told so; others are left. */
void tiny_http_expire(tiny_http_conn *c) {
  bool begun = c->phase == TINY_HTTP_BODY || (c->phase == TINY_HTTP_HEAD && c->scan.at > 0);
  if (!begun) {
    tiny_http_end(c);
    return;
  }
  tiny_http_refuse(c, 408);
  tiny_http_run(c);
}

static void on_event(tiny_stream *stream) {
  tiny_http_conn *c = (tiny_http_conn *)stream;
  if (!c->running) tiny_http_run(c);
}

void tiny_http_accept(tiny_acceptor *acceptor, tiny_port *port, int fd, const tiny_endpoint *peer) {
  tiny_http *http = acceptor->context;
  tiny_http_conn *c = calloc(1, sizeof *c);
  if (!c) {
    close(fd);
    return;
  }
  *c = (tiny_http_conn){.http = http, .port = port, .remote = *peer, .refs = 1, .file = -1};
  if (tiny_stream_open(&c->stream, http->harbour->poller, fd, on_event) != 0) {
    free(c);
    return;
  }
  if (tiny_tls_wrap(acceptor->tls, &c->stream, NULL) != 0 || tiny_http_list(http, c) != 0) {
    tiny_stream_close(&c->stream);
    free(c);
    return;
  }
  tiny_port_join(port);
  atomic_fetch_add_explicit(http->harbour->connections, 1, memory_order_relaxed);
  tiny_http_due(c, tiny_http_settings(c)->head_ms);
}

const tiny_http_head *tiny_http_request_head(const tiny_http_conn *c) { return &c->request->head; }

const char *tiny_http_request_text(const tiny_http_conn *c) { return c->request->text; }
