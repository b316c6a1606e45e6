/* SPDX-License-Identifier: MIT
 * ready.c -- owners of sockets are told when these can be used.
 *
 * ZMQ_FD tells of a change once, and any call on the socket may take that notice away. So whatever
 * socket was used is looked at again before the loop waits: until there is nothing to tell, its
 * descriptor is not to be relied on. */
#include "sockets.h"

void zmq_ready_touch(tiny_zmq_socket *s) {
  tiny_zmq *all = s->all;
  s->is_drained = false;
  if (s->is_touched || !s->zmq) return;
  s->is_touched = true;
  s->later = NULL;
  *all->last = s;
  all->last = &s->later;
}

static void unlink_at(tiny_zmq *all, tiny_zmq_socket **at) {
  tiny_zmq_socket *s = *at;
  s->is_touched = false;
  *at = s->later;
  if (!*at) all->last = at;
}

void zmq_ready_forget(tiny_zmq_socket *s) {
  tiny_zmq_socket **at = &s->all->touched;
  while (*at && *at != s) at = &(*at)->later;
  if (*at) unlink_at(s->all, at);
}

/* Asking also takes the notice from the descriptor, wanted or not. */
static int events_of(const tiny_zmq_socket *s) {
  int events = 0;
  size_t size = sizeof events;
  if (!s->zmq || zmq_getsockopt(s->zmq, ZMQ_EVENTS, &events, &size) != 0) return 0;
  return (s->wants_in ? events & ZMQ_POLLIN : 0) | (s->wants_out ? events & ZMQ_POLLOUT : 0);
}

/* To ask costs system calls, and who only wants messages asks anyway. */
static void tell(tiny_zmq_socket *s) {
  int events = s->wants_out ? events_of(s) : s->wants_in ? ZMQ_POLLIN : 0;
  zmq_ready_touch(s);
  if (events) s->ready(s->owner, events & ZMQ_POLLIN, events & ZMQ_POLLOUT);
}

void zmq_ready_on_fd(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  tell(poll->data);
}

/* Those touched meanwhile have their turn in the next one. */
static void on_idle(uv_idle_t *idle) {
  tiny_zmq *all = idle->data;
  int count = 0;
  uv_idle_stop(idle);
  for (const tiny_zmq_socket *s = all->touched; s; s = s->later) count++;
  for (; count > 0 && all->touched; count--) {
    tiny_zmq_socket *s = all->touched;
    unlink_at(all, &all->touched);
    tell(s);
  }
}

void zmq_ready_on_prepare(uv_prepare_t *prepare) {
  tiny_zmq *all = prepare->data;
  for (tiny_zmq_socket **at = &all->touched; *at;) {
    tiny_zmq_socket *s = *at;
    zmq_message_drop(s);
    if ((s->is_drained && !s->wants_out) || !events_of(s))
      unlink_at(all, at);
    else
      at = &s->later;
  }
  if (all->touched) uv_idle_start(&all->idle, on_idle);
}

void zmq_ready_want(tiny_zmq_socket *s, bool in, bool out) {
  if ((in && !s->wants_in && !s->is_drained) || (out && !s->wants_out)) zmq_ready_touch(s);
  s->wants_in = in;
  s->wants_out = out;
}
