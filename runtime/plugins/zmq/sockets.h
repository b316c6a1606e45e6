/* SPDX-License-Identifier: MIT
 * sockets.h -- what the files of the plugin share. */
#ifndef TINY_ZMQ_SOCKETS_H
#define TINY_ZMQ_SOCKETS_H

#include "zmq_socket.h"

#include <zmq.h>

struct tiny_zmq {
  uv_loop_t *loop;
  void *context;
  tiny_zmq_socket *touched, **last; /* a queue: whose state is to be looked at */
  uv_prepare_t prepare;
  uv_idle_t idle;
  int handles;          /* whose close callback is owed */
  tiny_zmq_socket *zap; /* that ZeroMQ asks who may connect; NULL until somebody is guarded */
  struct zmq_guard *guards;
  unsigned last_guard;
};

typedef struct zmq_file zmq_file; /* of an endpoint that is one */

struct tiny_zmq_socket {
  tiny_zmq *all;
  void *zmq; /* NULL once it is closed */
  uv_poll_t poll;
  bool wants_in, wants_out;
  bool is_touched;
  bool is_drained; /* it was used last to find no message: its descriptor tells of the next one */
  tiny_zmq_socket *later; /* in the queue of the touched */
  void (*ready)(void *owner, bool in, bool out);
  void *owner;
  zmq_msg_t **messages; /* the message received last, part by part; each stays where it is */
  tiny_zmq_part *parts;
  int count, room;
  char endpoint[512];
  struct zmq_guard *guard; /* NULL: no CURVE server */
  zmq_file *files;
};

/* -- socket.c: opening and closing, as in tiny_zmq_table */

tiny_zmq_socket *zmq_sockets_open(tiny_zmq *all, const tiny_zmq_order *order, char *why,
                                  size_t why_size, int *code);
int zmq_sockets_change(tiny_zmq_socket *socket, const tiny_zmq_order *order);
void zmq_sockets_close(tiny_zmq_socket *socket);

/* -- ready.c: when sockets can be used */

/* Call it after each use of a socket: what changed meanwhile is told no more by its descriptor. */
void zmq_ready_touch(tiny_zmq_socket *socket);
void zmq_ready_forget(tiny_zmq_socket *socket);
void zmq_ready_want(tiny_zmq_socket *socket, bool in, bool out);

/* Called by the loop. */
void zmq_ready_on_fd(uv_poll_t *poll, int status, int events);
void zmq_ready_on_prepare(uv_prepare_t *prepare);

/* -- message.c */

int zmq_message_send(tiny_zmq_socket *socket, const tiny_zmq_part *parts, int count);
int zmq_message_receive(tiny_zmq_socket *socket, const tiny_zmq_part **parts, int *count);
int zmq_message_subscribe(tiny_zmq_socket *socket, const char *topic, size_t size, bool on);

/* Let go of the message received last, and of what that took. */
void zmq_message_drop(tiny_zmq_socket *socket);
void zmq_message_free(tiny_zmq_socket *socket);

/* -- files.c: what ipc endpoints leave behind */

const char *zmq_files_path(const char *endpoint); /* of an ipc endpoint; NULL: it has none */
void zmq_files_note(tiny_zmq_socket *socket, const char *endpoint); /* it was just bound there */
void zmq_files_remove(tiny_zmq_socket *socket);

/* -- zap.c: who may connect to CURVE servers. ZeroMQ asks over ZAP (RFC 27), and without an answer
 * lets in whoever has a key at all. */

/* Let in clients of these keys (Z85, NULL after the last) and no others, from now on. Returns 0, or -1
 * with errno: then it is as it was. */
int zmq_zap_guard(tiny_zmq_socket *socket, const char *const *clients);
void zmq_zap_unguard(tiny_zmq_socket *socket);

#endif
