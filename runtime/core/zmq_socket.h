/* SPDX-License-Identifier: MIT
 * zmq_socket.h -- ZeroMQ sockets on a libuv loop: the plugin "zmq" has the table. Loop thread. */
#ifndef TINY_ZMQ_SOCKET_H
#define TINY_ZMQ_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

typedef struct tiny_zmq tiny_zmq; /* all sockets of a runtime: they share "inproc://" */
typedef struct tiny_zmq_socket tiny_zmq_socket;

typedef struct tiny_zmq_part {
  const char *data;
  size_t size;
} tiny_zmq_part;

/* CURVE: both have their own keys in Z85; a client has the server's, a server its clients'. */
typedef struct tiny_zmq_curve {
  const char *public_key, *secret_key;
  const char *server_key;
  const char *const *clients; /* NULL after the last; NULL: it is no server */
} tiny_zmq_curve;

/* Strings are only read by open() and change(). Lists end with NULL. Numbers below 0 are ZeroMQ's
 * defaults. */
typedef struct tiny_zmq_order {
  const char *type; /* "PUSH" and so on */
  const char *const *binds, *const *connects;
  int send_hwm, recv_hwm; /* messages */
  int linger_ms;
  int heartbeat_ms;
  long long max_size;   /* bytes of a part that comes in */
  const char *identity; /* NULL: none */
  tiny_zmq_curve curve; /* secret_key NULL: none */
  /* Called at the top of a turn while what was wanted can be done. */
  void (*ready)(void *owner, bool in, bool out);
  void *owner;
} tiny_zmq_order;

/* Results are 0 or an errno of ZeroMQ's. */
typedef struct tiny_zmq_table {
  tiny_zmq *(*start)(uv_loop_t *loop); /* NULL when it could not be had */

  /* No socket is open any more. Waits for what lingers. */
  void (*stop)(tiny_zmq *all);

  /* NULL on failure: what it was about in 'why', and the errno in 'code'. */
  tiny_zmq_socket *(*open)(tiny_zmq *all, const tiny_zmq_order *order, char *why, size_t why_size,
                           int *code);

  /* Take over what can be changed in an open one: linger, and a CURVE server's clients. */
  int (*change)(tiny_zmq_socket *socket, const tiny_zmq_order *order);

  void (*close)(tiny_zmq_socket *socket);

  /* What ready() is to tell of. */
  void (*want)(tiny_zmq_socket *socket, bool in, bool out);

  /* All parts or, with EAGAIN, none. */
  int (*send)(tiny_zmq_socket *socket, const tiny_zmq_part *parts, int count);

  /* A message: its parts live until the next call, or until the loop waits again. */
  int (*receive)(tiny_zmq_socket *socket, const tiny_zmq_part **parts, int *count);

  int (*subscribe)(tiny_zmq_socket *socket, const char *topic, size_t size, bool on);

  /* That was bound last, with its port; "" for none. */
  const char *(*endpoint)(tiny_zmq_socket *socket);

  /* A new pair of CURVE keys in Z85: 40 characters and a NUL each. */
  int (*keypair)(char *public_key, char *secret_key);

  const char *(*describe)(int code, const char **name);
} tiny_zmq_table;

#define TINY_ZMQ_SYMBOL "tiny_zmq_functions"

#endif
