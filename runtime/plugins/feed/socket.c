/* SPDX-License-Identifier: MIT
 * socket.c -- messages are taken in batches, so that no flood of them keeps the loop. */
#include "socket.h"

#include <zmq.h>

enum { BATCH = 256 };

static void on_more(uv_idle_t *more) { tiny_feed_socket_pump(more->data); }

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  tiny_feed_socket_pump(poll->data);
}

void tiny_feed_socket_pump(tiny_feed_socket *socket) {
  for (int i = 0; i < BATCH; i++) {
    if (socket->take(socket)) continue;
    uv_idle_stop(&socket->more);
    return;
  }
  uv_idle_start(&socket->more, on_more);
}

int tiny_feed_socket_open(tiny_feed_socket *socket, uv_loop_t *loop, void *zmq) {
  int fd = -1;
  size_t size = sizeof fd;
  zmq_getsockopt(zmq, ZMQ_FD, &fd, &size);
  int rc = uv_poll_init(loop, &socket->poll, fd);
  if (rc != 0) {
    zmq_close(zmq);
    return rc;
  }
  uv_idle_init(loop, &socket->more);
  socket->poll.data = socket->more.data = socket;
  socket->open = 2;
  socket->zmq = zmq;
  uv_poll_start(&socket->poll, UV_READABLE, on_ready);
  tiny_feed_socket_pump(socket);
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  tiny_feed_socket *socket = handle->data;
  if (--socket->open == 0) socket->closed(socket);
}

/* The handle goes first: its fd is the socket's. */
void tiny_feed_socket_close(tiny_feed_socket *socket) {
  uv_close((uv_handle_t *)&socket->poll, on_closed);
  uv_close((uv_handle_t *)&socket->more, on_closed);
  zmq_close(socket->zmq);
}
