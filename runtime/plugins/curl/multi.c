/* SPDX-License-Identifier: MIT
 * multi.c -- a uv_poll for each of libcurl's sockets, and one timer. */
#include "curl/multi.h"

#include <stdbool.h>
#include <stdlib.h>

struct multi {
  CURLM *curl;
  uv_loop_t *loop;
  uv_timer_t timer;
  multi_owner owner;
};

typedef struct watched {
  uv_poll_t poll;
  multi *multi;
  curl_socket_t fd;
} watched;

CURLM *multi_handle(multi *m) { return m->curl; }

/* The owner may end transfers meanwhile: libcurl keeps its messages in order. */
static void tell(multi *m) {
  int left;
  m->owner.turned(m->owner.data);
  for (CURLMsg *message; (message = curl_multi_info_read(m->curl, &left));)
    if (message->msg == CURLMSG_DONE)
      m->owner.done(m->owner.data, message->easy_handle, message->data.result);
}

static void act(multi *m, curl_socket_t fd, int events) {
  int running;
  curl_multi_socket_action(m->curl, fd, events, &running);
  tell(m);
}

static void on_timer(uv_timer_t *timer) { act(timer->data, CURL_SOCKET_TIMEOUT, 0); }

static void on_poll(uv_poll_t *poll, int status, int events) {
  watched *w = poll->data;
  int flags = status < 0 ? CURL_CSELECT_ERR : 0;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  act(w->multi, w->fd, flags);
}

/* libcurl may be called from here only later: hence no timer of 0. */
static int on_timeout(CURLM *curl, long ms, void *data) {
  multi *m = data;
  (void)curl;
  uv_update_time(m->loop);
  if (ms < 0)
    uv_timer_stop(&m->timer);
  else
    uv_timer_start(&m->timer, on_timer, ms > 0 ? (uint64_t)ms : 1, 0);
  return 0;
}

void multi_hurry(multi *m) { uv_timer_start(&m->timer, on_timer, 0, 0); }

static void on_poll_closed(uv_handle_t *handle) { free(handle->data); }

/* libcurl closes the socket right after this: the poll must be gone by then. */
static int unwatch(multi *m, watched *w) {
  if (!w) return 0;
  curl_multi_assign(m->curl, w->fd, NULL);
  uv_poll_stop(&w->poll);
  uv_close((uv_handle_t *)&w->poll, on_poll_closed);
  return 0;
}

static watched *watch(multi *m, curl_socket_t fd) {
  watched *w = calloc(1, sizeof *w);
  if (!w || uv_poll_init_socket(m->loop, &w->poll, fd) != 0) {
    free(w);
    return NULL;
  }
  w->poll.data = w;
  w->multi = m;
  w->fd = fd;
  curl_multi_assign(m->curl, fd, w);
  return w;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *assigned) {
  multi *m = data;
  watched *w = assigned;
  (void)easy;
  if (what == CURL_POLL_REMOVE) return unwatch(m, w);
  if (!w) w = watch(m, fd);
  if (!w) return -1;
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&w->poll, events, on_poll) == 0 ? 0 : -1;
}

multi *multi_open(uv_loop_t *loop, const multi_owner *owner) {
  multi *m = calloc(1, sizeof *m);
  if (m) m->curl = curl_multi_init();
  if (!m || !m->curl) {
    free(m);
    return NULL;
  }
  m->loop = loop;
  m->owner = *owner;
  uv_timer_init(loop, &m->timer);
  m->timer.data = m;
  curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timeout);
  curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
  return m;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

/* Idle connections are closed here, and their polls with them; then the timer, which that may have set. */
void multi_close(multi *m) {
  curl_multi_cleanup(m->curl);
  uv_close((uv_handle_t *)&m->timer, on_closed);
}
