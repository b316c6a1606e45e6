/* SPDX-License-Identifier: MIT
 * http_out.c -- answers on their way out: at once as far as that goes, the rest when the
 * client has taken in more. */
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  PILE = 64 * 1024,
  FILE_PIECE = 1024 * 1024
}; /* what may wait; what of a file is sent in one turn */

/* -- sending --------------------------------------------------------------- */

/* Send what goes through, keep the rest. What fails is told by conn->failed. */
static void send_out(tiny_http_conn *c, const char *data, size_t size) {
  ssize_t n = 0;
  while (!c->failed && size > 0 && tiny_buffer_pending(&c->out) == 0) {
    n = tiny_stream_push(&c->stream, data, size);
    if (n == UV_EAGAIN) break;
    if (n < 0) c->failed = (int)n;
    if (n > 0) data += n, size -= (size_t)n;
  }
  if (!c->failed && size > 0 && tiny_buffer_add(&c->out, data, size) != 0) c->failed = UV_ENOMEM;
}

/* Two parts, in one system call when they fit together. 'a' is in the scratch buffer. */
static void send_both(tiny_http_conn *c, size_t a_size, const char *b, size_t b_size) {
  char *scratch = c->http->scratch;
  size_t fits = TINY_HTTP_SCRATCH - a_size < b_size ? TINY_HTTP_SCRATCH - a_size : b_size;
  if (fits > 0) memcpy(scratch + a_size, b, fits);
  send_out(c, scratch, a_size + fits);
  if (fits < b_size) send_out(c, b + fits, b_size - fits);
}

/* A file that is shorter than it was ends the connection: the client was promised more. */
static int flush_file(tiny_http_conn *c) {
  uint64_t sent = 0;
  while (c->file_left > 0) {
    if (sent >= FILE_PIECE) {
      tiny_http_kick(c);
      return UV_EAGAIN;
    }
    size_t size = c->file_left < FILE_PIECE ? (size_t)c->file_left : FILE_PIECE;
    ssize_t n = tiny_stream_push_file(&c->stream, c->file, &c->file_at, size);
    if (n <= 0) return n < 0 ? (int)n : UV_EIO;
    c->file_left -= (uint64_t)n;
    sent += (uint64_t)n;
  }
  close(c->file);
  c->file = -1;
  return 0;
}

int tiny_http_flush(tiny_http_conn *c) {
  tiny_buffer *out = &c->out;
  while (!c->failed && tiny_buffer_pending(out) > 0) {
    ssize_t n = tiny_stream_push(&c->stream, out->data + out->at, tiny_buffer_pending(out));
    if (n == UV_EAGAIN) return UV_EAGAIN;
    if (n < 0)
      c->failed = (int)n;
    else
      out->at += (size_t)n;
  }
  if (c->failed) return c->failed;
  tiny_buffer_free(out);
  if (c->file < 0) return 0;
  int rc = flush_file(c);
  if (rc != UV_EAGAIN) c->failed = rc;
  return rc;
}

void tiny_http_continue(tiny_http_conn *c) {
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
  if (!c->request->head.expects_continue || c->replied) return;
  c->request->head.expects_continue = false;
  send_out(c, text, sizeof text - 1);
}

/* -- answers --------------------------------------------------------------- */

static bool is_method(const tiny_http_conn *c, const char *method) {
  const tiny_http_request *r = c->request;
  return r && r->head.method.size == strlen(method) &&
         memcmp(r->text + r->head.method.at, method, strlen(method)) == 0;
}

/* HTTP/1.0 knows no chunks, and keeps connections only when told so. */
static bool is_old(const tiny_http_conn *c) { return !c->request || c->request->head.minor == 0; }

/* What is common to both kinds: whether the connection stays, and who is not sent a body. */
static tiny_http_reply begin(tiny_http_conn *c, const tiny_http_answer *answer,
                             tiny_http_frame frame) {
  const tiny_http_head *head = c->request ? &c->request->head : NULL;
  bool bare = tiny_http_is_bare(answer->status);
  c->replied = true;
  c->mute = bare || is_method(c, "HEAD");
  if (!head || !head->keep_alive || !c->body_over || c->http->stops) c->close = true;
  if (frame == TINY_FRAME_CLOSE && !bare) c->close = true;
  return (tiny_http_reply){.status = answer->status,
                           .fields = answer->fields,
                           .fields_size = answer->fields_size,
                           .frame = bare ? TINY_FRAME_NONE : frame,
                           .keep_alive = is_old(c)};
}

static size_t write_head(tiny_http_conn *c, tiny_http_reply *reply) {
  reply->close = c->close;
  return tiny_http_write_head(c->http->scratch, reply, &c->http->date);
}

int tiny_http_answer_all(tiny_http_conn *c, const tiny_http_answer *answer) {
  tiny_http_reply reply = begin(c, answer, TINY_FRAME_LENGTH);
  reply.length = answer->body_size + answer->file_size;
  c->file = answer->file;
  c->file_at = 0;
  c->file_left = answer->file_size;
  if (c->mute && c->file >= 0) {
    close(c->file);
    c->file = -1;
    c->file_left = 0;
  }
  send_both(c, write_head(c, &reply), answer->body, c->mute ? 0 : answer->body_size);
  int rc = tiny_http_flush(c);
  return rc == UV_EAGAIN ? 0 : rc;
}

int tiny_http_stream_begin(tiny_http_conn *c, const tiny_http_answer *answer) {
  tiny_http_reply reply = begin(c, answer, is_old(c) ? TINY_FRAME_CLOSE : TINY_FRAME_CHUNKED);
  c->streams = true;
  c->chunked = reply.frame == TINY_FRAME_CHUNKED;
  send_both(c, write_head(c, &reply), NULL, 0);
  return c->failed;
}

int tiny_http_stream_write(tiny_http_conn *c, const char *data, size_t size) {
  if (c->failed) return c->failed;
  if (c->mute || size == 0) return 0;
  if (tiny_buffer_pending(&c->out) > PILE) return UV_EAGAIN;
  int prefix = c->chunked ? sprintf(c->http->scratch, "%zx\r\n", size) : 0;
  bool small = c->chunked && size + (size_t)prefix + 2 <= TINY_HTTP_SCRATCH;
  if (small) {
    memcpy(c->http->scratch + prefix, data, size);
    send_both(c, (size_t)prefix + size, "\r\n", 2);
    return c->failed;
  }
  send_both(c, (size_t)prefix, data, size);
  if (c->chunked) send_out(c, "\r\n", 2);
  return c->failed;
}

int tiny_http_stream_end(tiny_http_conn *c) {
  if (c->chunked && !c->mute) send_out(c, "0\r\n\r\n", 5);
  c->streams = false;
  return c->failed;
}
