/* SPDX-License-Identifier: MIT
 * socket.h -- a ZeroMQ socket on a libuv loop. */
#ifndef TINY_FEED_SOCKET_H
#define TINY_FEED_SOCKET_H

#include <stdbool.h>
#include <uv.h>

typedef struct tiny_feed_socket tiny_feed_socket;
struct tiny_feed_socket {
  /* The owner's: set before opening. */
  bool (*take)(tiny_feed_socket *socket); /* take one message off; returns whether there was one */
  void (*closed)(tiny_feed_socket *socket); /* its handles have closed: it may be freed */
  void *data;

  void *zmq;
  uv_poll_t poll;
  uv_idle_t more; /* active while a batch was not the end */
  int open;       /* handles whose close callback is owed */
};

/* Call 'take' on the loop while there are messages on 'zmq'. Returns 0, or a negative UV code, and
 * then nothing was opened. Either way 'zmq' is taken over. */
int tiny_feed_socket_open(tiny_feed_socket *socket, uv_loop_t *loop, void *zmq);

/* Take what is there. To be called after each use of the socket: its fd tells of an event once, and
 * any call may have taken that notice away. */
void tiny_feed_socket_pump(tiny_feed_socket *socket);

/* Close socket and handles; not from inside 'take'. */
void tiny_feed_socket_close(tiny_feed_socket *socket);

#endif
