/* SPDX-License-Identifier: MIT
 * sockets.h -- what the files of the plugin share. */
#ifndef TINY_ZMQ_SOCKETS_H
#define TINY_ZMQ_SOCKETS_H

#include "zmq_socket.h"

#include <zmq.h>

struct tiny_zmq {
  uv_loop_t *loop;
  void *context;
  tiny_zmq_socket *sockets;
  uv_prepare_t prepare;
  uv_idle_t idle;
  int handles;          /* whose close callback is owed */
  tiny_zmq_socket *zap; /* that ZeroMQ asks who may connect; NULL until somebody is guarded */
  struct zmq_guard *guards;
  unsigned last_guard;
};

struct tiny_zmq_socket {
  tiny_zmq *all;
  tiny_zmq_socket *next;
  void *zmq; /* NULL once it is closed */
  uv_poll_t poll;
  bool wants_in, wants_out;
  void (*ready)(void *owner, bool in, bool out);
  void *owner;
  zmq_msg_t **messages; /* the message received last, part by part; each stays where it is */
  tiny_zmq_part *parts;
  int count, room;
  char endpoint[512];
  struct zmq_guard *guard; /* NULL: no CURVE server */
};

/* As in tiny_zmq_table. */
tiny_zmq_socket *zmq_sockets_open(tiny_zmq *all, const tiny_zmq_order *order, char *why,
                                  size_t why_size, int *code);
void zmq_sockets_close(tiny_zmq_socket *socket);
void zmq_sockets_want(tiny_zmq_socket *socket, bool in, bool out);
int zmq_sockets_send(tiny_zmq_socket *socket, const tiny_zmq_part *parts, int count);
int zmq_sockets_receive(tiny_zmq_socket *socket, const tiny_zmq_part **parts, int *count);

/* -- zap.c: who may connect to CURVE servers. ZeroMQ asks over ZAP (RFC 27), and without an answer
 * lets in whoever has a key at all. */

/* Let in clients of these keys (Z85, NULL after the last) and no others. Returns 0, or -1 with errno. */
int zmq_zap_guard(tiny_zmq_socket *socket, const char *const *clients);
void zmq_zap_unguard(tiny_zmq_socket *socket);

#endif
