/* SPDX-License-Identifier: MIT
 * stream.c -- reading into one buffer, writing from the caller's. */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 256 * 1024 };

/* -- the plain channel ----------------------------------------------------- */

static ssize_t plain_read(tiny_stream *s, void *data, size_t size) {
  ssize_t n;
  do n = recv(s->poll.fd, data, size, 0);
  while (n < 0 && errno == EINTR);
  s->drained = n < 0 ? errno == EAGAIN : (size_t)n < size && !s->hung_up;
  return n < 0 ? -errno : n;
}

/* A peer that is gone is an error of ours, not a SIGPIPE of the process. */
static ssize_t plain_write(tiny_stream *s, const void *data, size_t size) {
  ssize_t n;
  do n = send(s->poll.fd, data, size, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static ssize_t plain_send_file(tiny_stream *s, int file, off_t *at, size_t size) {
  ssize_t n;
  do n = sendfile(s->poll.fd, file, at, size);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static int plain_finish(tiny_stream *s) { return shutdown(s->poll.fd, SHUT_WR) == 0 ? 0 : -errno; }

static void plain_free(tiny_stream *s) { (void)s; }

static const tiny_channel plain = {plain_read, plain_write, plain_send_file, plain_finish,
                                   plain_free};

/* -- life ------------------------------------------------------------------ */

static int send_kept(tiny_stream *s);

static void on_poll(tiny_poll *poll, uint32_t events) {
  tiny_stream *s = (tiny_stream *)((char *)poll - offsetof(tiny_stream, poll));
  if (events & ~(uint32_t)EPOLLOUT) s->drained = false;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->hung_up = true;
  if (s->kept) send_kept(s);
  s->on_event(s);
}

/* Edge-triggered: after UV_EAGAIN an event comes for whatever changes. */
int tiny_stream_open(tiny_stream *s, tiny_poller *poller, int fd, void (*on_event)(tiny_stream *)) {
  *s = (tiny_stream){
      .poll.on_event = on_poll, .poller = poller, .channel = &plain, .on_event = on_event};
  int rc = tiny_poll_add(poller, &s->poll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  if (rc != 0) close(fd);
  return rc;
}

static void free_buffer(tiny_stream *s) {
  if (s->room == TINY_POLLER_BUFFER)
    tiny_poller_give_back(s->poller, s->data);
  else
    free(s->data);
  s->data = NULL;
  s->begin = s->end = s->room = s->searched = 0;
}

static void free_kept(tiny_stream *s) {
  free(s->kept);
  s->kept = NULL;
  s->kept_at = s->kept_size = 0;
}

void tiny_stream_close(tiny_stream *s) {
  if (s->poll.fd < 0) return;
  s->channel->free(s);
  close(tiny_poll_remove(s->poller, &s->poll));
  free_buffer(s);
  free_kept(s);
}

bool tiny_stream_is_open(const tiny_stream *s) { return s->poll.fd >= 0; }

/* -- reading --------------------------------------------------------------- */

static int make_room(tiny_stream *s) {
  if (s->end < s->room) return 0;
  if (s->begin > 0) {
    memmove(s->data, s->data + s->begin, s->end - s->begin);
    s->end -= s->begin;
    s->begin = 0;
    if (s->end < s->room) return 0;
  }
  size_t room = s->room ? s->room * 2 : TINY_POLLER_BUFFER;
  char *data = s->room ? realloc(s->data, room) : tiny_poller_borrow(s->poller);
  if (!data) return UV_ENOMEM;
  s->data = data;
  s->room = room;
  return 0;
}

/* An idle stream costs no buffer. */
static int nothing(tiny_stream *s, int rc) {
  tiny_stream_rest(s);
  return rc;
}

int tiny_stream_fill(tiny_stream *s) {
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  if (s->ended) return UV_EOF;
  if (s->drained) return nothing(s, UV_EAGAIN);
  int rc = make_room(s);
  if (rc != 0) return rc;
  size_t room = s->room - s->end;
  ssize_t n = s->channel->read(s, s->data + s->end, room < MOST ? room : MOST);
  if (n > 0) s->end += (size_t)n;
  if (n > 0) return 0;
  if (n == 0) s->ended = true;
  return nothing(s, n == 0 ? UV_EOF : (int)n);
}

tiny_bytes tiny_stream_peek(const tiny_stream *s) {
  return (tiny_bytes){s->data ? s->data + s->begin : "", s->end - s->begin};
}

void tiny_stream_rest(tiny_stream *s) {
  if (s->begin == s->end) free_buffer(s);
}

void tiny_stream_skip(tiny_stream *s, size_t size) {
  s->begin += size;
  tiny_stream_rest(s);
}

static int take(tiny_stream *s, size_t size, size_t skip, tiny_bytes *bytes) {
  *bytes = (tiny_bytes){s->data + s->begin, size};
  s->begin += size + skip;
  s->searched = 0;
  return 0;
}

/* Returns whether the buffer has all of a line, or too much for one. */
static bool take_line(tiny_stream *s, size_t limit, tiny_bytes *bytes, int *rc) {
  char *line = s->data + s->begin;
  size_t size = s->end - s->begin;
  char *end = size > s->searched ? memchr(line + s->searched, '\n', size - s->searched) : NULL;
  size_t length = s->searched = end ? (size_t)(end - line) : size;
  size_t shown = end && length > 0 && end[-1] == '\r' ? length - 1 : length;
  *rc = 0;
  if (end && shown <= limit)
    take(s, shown, length + 1 - shown, bytes);
  else if (end || length > limit + 1) /* the last of an unfinished line may be a '\r' */
    *rc = UV_EMSGSIZE;
  else
    return false;
  return true;
}

static bool take_wish(tiny_stream *s, tiny_wish wish, tiny_bytes *bytes, int *rc) {
  size_t size = s->end - s->begin;
  *rc = 0;
  switch (wish.what) {
  case TINY_READ_LINE: return take_line(s, wish.size, bytes, rc);
  case TINY_READ_EXACTLY: return size >= wish.size && take(s, wish.size, 0, bytes) == 0;
  default: return size > 0 && take(s, size < wish.size ? size : wish.size, 0, bytes) == 0;
  }
}

int tiny_stream_read(tiny_stream *s, tiny_wish wish, tiny_bytes *bytes) {
  int rc;
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  if (s->begin == s->end) s->begin = s->end = 0; /* all was taken: what 'bytes' told is over now */
  while (!take_wish(s, wish, bytes, &rc)) {
    rc = tiny_stream_fill(s);
    if (rc != 0) return rc;
  }
  return rc;
}

/* -- writing --------------------------------------------------------------- */

ssize_t tiny_stream_push(tiny_stream *s, const char *data, size_t size) {
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  if (s->broken) return s->broken;
  ssize_t n = s->channel->write(s, data, size);
  if (n < 0 && n != UV_EAGAIN) s->broken = (int)n;
  return n;
}

ssize_t tiny_stream_push_file(tiny_stream *s, int file, off_t *at, size_t size) {
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  return s->channel->send_file(s, file, at, size);
}

/* Not into the midst of another write. Returns 0 when all is out, UV_EAGAIN, or why not. */
static int send_kept(tiny_stream *s) {
  if (s->begun) return 0;
  while (s->kept_at < s->kept_size) {
    ssize_t n = tiny_stream_push(s, s->kept + s->kept_at, s->kept_size - s->kept_at);
    if (n == UV_EAGAIN) return UV_EAGAIN;
    if (n < 0) break;
    s->kept_at += (size_t)n;
  }
  free_kept(s);
  return s->broken;
}

int tiny_stream_write(tiny_stream *s, const char *data, size_t size) {
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  int rc = send_kept(s);
  if (rc != 0) return rc;
  while (s->sent < size) {
    ssize_t n = tiny_stream_push(s, data + s->sent, size - s->sent);
    s->begun = s->sent > 0 || n > 0 || s->held;
    if (n == UV_EAGAIN) return UV_EAGAIN;
    if (n < 0) break;
    s->sent += (size_t)n;
  }
  s->sent = 0;
  s->begun = false;
  send_kept(
      s); /* which may have waited for this one; what does not go through now has an event to come */
  return s->broken;
}

void tiny_stream_cut(tiny_stream *s) {
  if (s->begun) s->broken = UV_EPIPE;
  s->sent = 0;
  s->begun = false;
}

/* The rest of the write under way goes before what was kept behind it. */
void tiny_stream_keep(tiny_stream *s, const char *data, size_t size, bool under_way) {
  size_t sent = under_way ? s->sent : 0, left = size - sent, waiting = s->kept_size - s->kept_at;
  if (left == 0) return;
  char *kept = malloc(left + waiting);
  if (!kept) {
    s->broken = UV_ENOMEM;
    return;
  }
  bool first = under_way && s->begun;
  memcpy(kept + (first ? 0 : waiting), data + sent, left);
  if (waiting > 0) memcpy(kept + (first ? left : 0), s->kept + s->kept_at, waiting);
  free_kept(s);
  s->kept = kept;
  s->kept_size = left + waiting;
  if (under_way) {
    s->sent = 0;
    s->begun = false;
  }
}

int tiny_stream_finish(tiny_stream *s) {
  if (!tiny_stream_is_open(s)) return UV_ECANCELED;
  int rc = send_kept(s);
  return rc != 0 ? rc : s->channel->finish(s);
}
