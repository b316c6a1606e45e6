/* SPDX-License-Identifier: MIT
 * http_body.c -- the body of a request: all of it before its handler is called, or in pieces when
 * it is large. */
#include "http_conn.h"

static int take_plain(tiny_http_conn *c, tiny_bytes in, size_t most) {
  size_t size = in.size < most ? in.size : most;
  if (size > c->left) size = (size_t)c->left;
  if (tiny_buffer_add(&c->body, in.data, size) != 0) return UV_ENOMEM;
  tiny_stream_skip(&c->stream, size);
  c->left -= size;
  c->body_over = c->left == 0;
  return 0;
}

static int take_chunks(tiny_http_conn *c, tiny_bytes in, size_t most) {
  size_t used, size = 0;
  const char *data = NULL;
  tiny_chunks_step step =
      tiny_chunks_take(&c->chunks, in.data, in.size < most ? in.size : most, &used, &data, &size);
  if (step == TINY_CHUNKS_BAD) return UV_EPROTO;
  if (size > 0 && tiny_buffer_add(&c->body, data, size) != 0) return UV_ENOMEM;
  tiny_stream_skip(&c->stream, used);
  c->body_over = step == TINY_CHUNKS_END;
  return 0;
}

/* Read on until there are 'most' bytes of the body, or its end. */
static int pull(tiny_http_conn *c, size_t most) {
  int rc = 0;
  while (rc == 0 && !c->body_over && tiny_buffer_pending(&c->body) < most) {
    tiny_bytes in = tiny_stream_peek(&c->stream);
    size_t room = most - tiny_buffer_pending(&c->body);
    if (in.size == 0)
      rc = tiny_stream_fill(&c->stream);
    else if (c->request->head.chunked)
      rc = take_chunks(c, in, room);
    else
      rc = take_plain(c, in, room);
  }
  return rc;
}

static bool await_body(tiny_http_conn *c) {
  if (tiny_buffer_pending(&c->body) < c->mark + TINY_HTTP_MARK) return false;
  c->mark = tiny_buffer_pending(&c->body);
  tiny_http_due(c, tiny_http_settings(c)->body_ms);
  return false;
}

bool tiny_http_step_body(tiny_http_conn *c) {
  size_t most = tiny_http_settings(c)->max_body;
  int rc = pull(c, most + 1);
  if (rc == UV_EAGAIN) return await_body(c);
  if (rc == UV_EPROTO) return tiny_http_refuse(c, 400);
  if (rc != 0) {
    tiny_http_end(c);
    return false;
  }
  c->large = !c->body_over || tiny_buffer_pending(&c->body) > most;
  c->phase = TINY_HTTP_READY;
  tiny_http_due(c, 0);
  return true;
}

int tiny_http_read_body(tiny_http_conn *c, size_t most) {
  if (c->replied && !c->streams) return UV_EBUSY;
  if (tiny_buffer_pending(&c->body) > 0 || c->body_over) return 0;
  tiny_http_continue(c);
  int rc = pull(c, most);
  return tiny_buffer_pending(&c->body) > 0 ? 0 : rc;
}
