/* SPDX-License-Identifier: MIT
 * subscriber.c -- one SUB socket for each endpoint, so that it is known where a message came from. */
#include "subscriber.h"

#include "socket.h"
#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
  MOST_BYTES = 16 << 20, /* of one message */
  RETRY_MS = 100,        /* before connecting again; doubled each time */
  LAST_RETRY_MS = 2000
};

typedef struct subscription {
  tiny_feed_socket socket;
  tiny_message_fn message;
  void *data;
  struct subscription *next;
} subscription;

struct tiny_subscriber {
  uv_loop_t *loop;
  void *context;
  subscription *first;
};

static tiny_subscriber *open_subscriber(uv_loop_t *loop, int most, char *why, size_t why_size) {
  tiny_subscriber *subscriber = calloc(1, sizeof *subscriber);
  void *context = subscriber ? zmq_ctx_new() : NULL;
  if (!context) {
    snprintf(why, why_size, "no memory for ZeroMQ");
    free(subscriber);
    return NULL;
  }
  zmq_ctx_set(context, ZMQ_MAX_SOCKETS, most + 1);
  subscriber->loop = loop;
  subscriber->context = context;
  return subscriber;
}

/* A frame with a NUL at its end, for free(). NULL when there is none. */
static char *receive(void *zmq, int flags, size_t *size, int *more) {
  zmq_msg_t message;
  char *text = NULL;
  zmq_msg_init(&message);
  if (zmq_msg_recv(&message, zmq, flags) >= 0) {
    *size = zmq_msg_size(&message);
    *more = zmq_msg_more(&message);
    text = malloc(*size + 1);
    if (text) *(char *)mempcpy(text, zmq_msg_data(&message), *size) = 0;
  }
  zmq_msg_close(&message);
  return text;
}

/* Frames beyond the second are a later version's. */
static bool take_message(tiny_feed_socket *socket) {
  subscription *s = socket->data;
  size_t size = 0, topic_size = 0;
  int more = 0;
  char *topic = receive(socket->zmq, ZMQ_DONTWAIT, &topic_size, &more);
  if (!topic) return false;
  char *text = more ? receive(socket->zmq, 0, &size, &more) : NULL;
  while (more) free(receive(socket->zmq, 0, &topic_size, &more));
  if (text) s->message(s->data, topic, text, size);
  free(text);
  free(topic);
  return true;
}

static void on_closed(tiny_feed_socket *socket) { free(socket->data); }

static void set_option(void *zmq, int option, int value) {
  zmq_setsockopt(zmq, option, &value, sizeof value);
}

static int set_curve(void *zmq, const tiny_curve *curve) {
  if (!curve) return 0;
  if (zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, curve->server, sizeof curve->server) != 0 ||
      zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, curve->public, sizeof curve->public) != 0)
    return -1;
  return zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, curve->secret, sizeof curve->secret);
}

static int connect_to(void *zmq, const char *endpoint, const tiny_curve *curve) {
  set_option(zmq, ZMQ_LINGER, 0);
  set_option(zmq, ZMQ_RECONNECT_IVL, RETRY_MS);
  set_option(zmq, ZMQ_RECONNECT_IVL_MAX, LAST_RETRY_MS);
  set_option(zmq, ZMQ_IPV6, strncmp(endpoint, "tcp://[", strlen("tcp://[")) == 0);
  zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &(int64_t){MOST_BYTES}, sizeof(int64_t));
  zmq_setsockopt(zmq, ZMQ_SUBSCRIBE, "tiny.", strlen("tiny."));
  return set_curve(zmq, curve) == 0 ? zmq_connect(zmq, endpoint) : -1;
}

static int add(tiny_subscriber *subscriber, const char *endpoint, const tiny_curve *curve,
               tiny_message_fn message, void *data, char *why, size_t why_size) {
  subscription *s = calloc(1, sizeof *s);
  void *zmq = s ? zmq_socket(subscriber->context, ZMQ_SUB) : NULL;
  if (!zmq || connect_to(zmq, endpoint, curve) != 0) {
    snprintf(why, why_size, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
    if (zmq) zmq_close(zmq);
    free(s);
    return -1;
  }
  *s = (subscription){.socket = {.take = take_message, .closed = on_closed, .data = s},
                      .message = message,
                      .data = data,
                      .next = subscriber->first};
  int rc = tiny_feed_socket_open(&s->socket, subscriber->loop, zmq);
  if (rc == 0) {
    subscriber->first = s;
    return 0;
  }
  snprintf(why, why_size, "%s: %s", endpoint, uv_strerror(rc));
  free(s);
  return -1;
}

static void close_subscriber(tiny_subscriber *subscriber) {
  for (subscription *s = subscriber->first; s; s = s->next) tiny_feed_socket_close(&s->socket);
  while (zmq_ctx_term(subscriber->context) != 0 && zmq_errno() == EINTR) continue;
  free(subscriber);
}

TINY_API const tiny_subscriber_table tiny_feed_subscriber = {open_subscriber, add,
                                                             close_subscriber};
