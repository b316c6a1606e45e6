/* SPDX-License-Identifier: MIT
 * publisher.c -- one XPUB socket with a context of its own. */
#include "publisher.h"

#include "endpoints.h"
#include "socket.h"
#include "tiny.h"
#include "zap.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* libzmq has it since 4.3.0, and declares it among its drafts. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

enum {
  TOPIC = 128,        /* bytes that a topic may have */
  WAITING = 64,       /* messages kept for a subscriber that does not take them */
  LINGER_MS = 100,    /* for what was sent just before closing */
  BACKLOG = 1024,     /* subscribers that may come at the same moment */
  REQUEST = 4096,     /* bytes of the longest message that a subscriber may send */
  SILENT_SECONDS = 60 /* after that the kernel looks whether the other end is still there */
};

struct tiny_publisher {
  tiny_publisher_parts parts;
  void *context;
  tiny_feed_socket socket;
  tiny_endpoints endpoints;
  tiny_zap *zap;
  int open; /* parts that have not closed yet */

  /* Whether somebody has subscribed to the first n bytes of the topic. libzmq tells of each who comes
   * and of the last who goes. */
  bool wanted[TOPIC];
  bool joined; /* somebody has come, and that was not told yet */
};

/* -- who listens ------------------------------------------------------------- */

static bool is_heard(const tiny_publisher *publisher) {
  return memchr(publisher->wanted, 1, sizeof publisher->wanted) != NULL;
}

/* Those who come together are told of as one. */
static void tell_joined(tiny_publisher *publisher) {
  if (!publisher->joined) return;
  publisher->joined = false;
  publisher->parts.joined(publisher->parts.data);
}

/* A subscription is one byte, 1 to come or 0 to go, and the beginning of the topics it is for. */
static bool take_subscription(tiny_feed_socket *socket) {
  tiny_publisher *publisher = socket->data;
  char message[1 + TOPIC];
  int size = zmq_recv(socket->zmq, message, sizeof message, ZMQ_DONTWAIT);
  if (size < 0) {
    tell_joined(publisher);
    return false;
  }
  size_t prefix = (size_t)size - 1;
  if (size == 0 || message[0] < 0 || message[0] > 1) return true; /* no subscription */
  if (prefix > strlen(publisher->parts.topic)) return true;
  if (memcmp(message + 1, publisher->parts.topic, prefix) != 0) return true;
  publisher->wanted[prefix] = message[0] == 1;
  if (message[0] == 1) publisher->joined = true;
  return true;
}

static void send_text(tiny_publisher *publisher, const char *text, size_t size) {
  void *zmq = publisher->socket.zmq;
  const char *topic = publisher->parts.topic;
  if (zmq_send(zmq, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
    zmq_send(zmq, text, size, ZMQ_DONTWAIT);
  tiny_feed_socket_pump(&publisher->socket);
}

static void listen_at(tiny_publisher *publisher, const json_t *endpoints) {
  tiny_endpoints_set(&publisher->endpoints, endpoints);
}

/* -- closing ----------------------------------------------------------------- */

static void end_part(tiny_publisher *publisher) {
  if (--publisher->open == 0) free(publisher);
}

static void on_socket_closed(tiny_feed_socket *socket) { end_part(socket->data); }

static void on_retry_closed(uv_handle_t *handle) {
  tiny_endpoints *endpoints = handle->data;
  end_part((tiny_publisher *)((char *)endpoints - offsetof(tiny_publisher, endpoints)));
}

/* Waits until the sockets are closed indeed. */
static void end_context(void *context) {
  while (zmq_ctx_term(context) != 0 && zmq_errno() == EINTR) continue;
}

static void close_publisher(tiny_publisher *publisher) {
  void *context = publisher->context;
  tiny_endpoints_close(&publisher->endpoints, on_retry_closed);
  tiny_feed_socket_close(&publisher->socket);
  tiny_zap_close(publisher->zap);
  end_context(context);
}

/* -- opening ----------------------------------------------------------------- */

static void set_option(void *zmq, int option, int value) {
  zmq_setsockopt(zmq, option, &value, sizeof value);
}

static void set_options(void *zmq) {
  set_option(zmq, ZMQ_XPUB_VERBOSE, 1);
  set_option(zmq, ZMQ_SNDHWM, WAITING);
  set_option(zmq, ZMQ_LINGER, LINGER_MS);
  set_option(zmq, ZMQ_BACKLOG, BACKLOG);
  zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &(int64_t){REQUEST}, sizeof(int64_t));
  set_option(zmq, ZMQ_TCP_KEEPALIVE, 1);
  set_option(zmq, ZMQ_TCP_KEEPALIVE_IDLE, SILENT_SECONDS);
  set_option(zmq, ZMQ_TCP_KEEPALIVE_INTVL, SILENT_SECONDS / 4);
  set_option(zmq, ZMQ_TCP_KEEPALIVE_CNT, 4);
}

static bool set_text(void *zmq, int option, const char *text) {
  return text && zmq_setsockopt(zmq, option, text, strlen(text)) == 0;
}

/* Nothing is published unless all of this succeeds. */
static bool set_curve(tiny_publisher *publisher, void *zmq, const json_t *curve) {
  const char *secret = json_string_value(json_object_get(curve, "secret_key"));
  publisher->zap =
      tiny_zap_open(publisher->context, &publisher->parts, json_object_get(curve, "clients"));
  set_option(zmq, ZMQ_CURVE_SERVER, 1);
  set_option(zmq, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
  return publisher->zap && set_text(zmq, ZMQ_ZAP_DOMAIN, TINY_ZAP_DOMAIN) &&
         set_text(zmq, ZMQ_CURVE_SECRETKEY, secret);
}

/* The socket, not yet listening anywhere. NULL with errno set. */
static void *make_socket(tiny_publisher *publisher) {
  const json_t *curve = publisher->parts.curve;
  void *zmq = zmq_socket(publisher->context, ZMQ_XPUB);
  if (!zmq) return NULL;
  set_options(zmq);
  if (!curve || set_curve(publisher, zmq, curve)) return zmq;
  int error = errno;
  zmq_close(zmq);
  errno = error;
  return NULL;
}

static int open_parts(tiny_publisher *publisher) {
  publisher->context = zmq_ctx_new();
  void *zmq = publisher->context ? make_socket(publisher) : NULL;
  if (!zmq) return -1;
  publisher->socket.take = take_subscription;
  publisher->socket.closed = on_socket_closed;
  publisher->socket.data = publisher;
  if (tiny_feed_socket_open(&publisher->socket, publisher->parts.loop, zmq) != 0) return -1;
  tiny_endpoints_open(&publisher->endpoints, &publisher->parts, zmq);
  publisher->open = 2;
  return 0;
}

static tiny_publisher *open_publisher(const tiny_publisher_parts *parts, char *why,
                                      size_t why_size) {
  tiny_publisher *publisher = calloc(1, sizeof *publisher);
  if (!publisher || strlen(parts->topic) >= TOPIC) {
    free(publisher);
    snprintf(why, why_size, "not enough memory, or the topic is too long");
    return NULL;
  }
  publisher->parts = *parts;
  if (open_parts(publisher) == 0) return publisher;
  snprintf(why, why_size, "%s", zmq_strerror(zmq_errno()));
  tiny_zap_close(publisher->zap);
  if (publisher->context) end_context(publisher->context);
  free(publisher);
  return NULL;
}

TINY_API const tiny_publisher_table tiny_feed_publisher = {open_publisher, listen_at, is_heard,
                                                           send_text, close_publisher};
