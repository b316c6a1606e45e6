/* SPDX-License-Identifier: MIT
 * zap.c -- one request in frames, one reply in frames. */
#include "zap.h"

#include "socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { KEY = 32, Z85 = 40, ROOM = 256 };

/* The frames of a request, in their order. */
enum { VERSION, REQUEST, DOMAIN, ADDRESS, ROUTE, MECHANISM, CREDENTIALS, FRAMES };

typedef struct frame {
  char bytes[ROOM]; /* the beginning of a longer one */
  size_t size;
} frame;

struct tiny_zap {
  tiny_feed_socket socket;
  const tiny_publisher_parts *parts;
  size_t count;
  unsigned char keys[][KEY];
};

static void receive(void *zmq, frame *to, int flags, int *more) {
  size_t size = sizeof *more;
  int got = zmq_recv(zmq, to->bytes, ROOM, flags);
  *more = 0;
  to->size = got < 0 ? 0 : got > ROOM ? ROOM : (size_t)got;
  if (got >= 0) zmq_getsockopt(zmq, ZMQ_RCVMORE, more, &size);
}

static bool is(const frame *f, const char *text) {
  return f->size == strlen(text) && memcmp(f->bytes, text, f->size) == 0;
}

static bool is_allowed(const tiny_zap *zap, const frame *request) {
  const frame *key = &request[CREDENTIALS];
  if (!is(&request[VERSION], "1.0") || !is(&request[MECHANISM], "CURVE") || key->size != KEY)
    return false;
  for (size_t i = 0; i < zap->count; i++)
    if (memcmp(zap->keys[i], key->bytes, KEY) == 0) return true;
  return false;
}

static void reply(void *zmq, const frame *request, bool allowed) {
  zmq_send(zmq, "1.0", 3, ZMQ_SNDMORE);
  zmq_send(zmq, request->bytes, request->size, ZMQ_SNDMORE);
  zmq_send(zmq, allowed ? "200" : "400", 3, ZMQ_SNDMORE);
  zmq_send(zmq, allowed ? "OK" : "No", 2, ZMQ_SNDMORE);
  zmq_send(zmq, "", 0, ZMQ_SNDMORE); /* user id */
  zmq_send(zmq, "", 0, 0);           /* metadata */
}

static void tell_refused(const tiny_zap *zap, const frame *address) {
  char text[ROOM + 64];
  snprintf(text, sizeof text,
           "monitor: refused a client at %.*s: its key is not in svr.monitor.curve",
           (int)address->size, address->bytes);
  zap->parts->say(zap->parts->data, TINY_WARN, text);
}

static bool take_request(tiny_feed_socket *socket) {
  tiny_zap *zap = socket->data;
  frame request[FRAMES], rest;
  int more, count = 0;
  memset(request, 0, sizeof request);
  receive(socket->zmq, &request[0], ZMQ_DONTWAIT, &more);
  if (request[0].size == 0) return false;
  for (count = 1; more; count++)
    receive(socket->zmq, count < FRAMES ? &request[count] : &rest, 0, &more);
  bool allowed = count == FRAMES && is_allowed(zap, request);
  reply(socket->zmq, &request[REQUEST], allowed);
  if (!allowed) tell_refused(zap, &request[ADDRESS]);
  return true;
}

static void on_closed(tiny_feed_socket *socket) { free(socket->data); }

static void *bind_handler(void *context) {
  int linger = 0;
  void *zmq = zmq_socket(context, ZMQ_REP);
  if (!zmq) return NULL;
  zmq_setsockopt(zmq, ZMQ_LINGER, &linger, sizeof linger);
  if (zmq_bind(zmq, "inproc://zeromq.zap.01") == 0) return zmq;
  zmq_close(zmq);
  return NULL;
}

static bool decode_keys(tiny_zap *zap, const json_t *keys) {
  for (; zap->count < json_array_size(keys); zap->count++) {
    const char *text = json_string_value(json_array_get(keys, zap->count));
    if (!text || strlen(text) != Z85 || !zmq_z85_decode(zap->keys[zap->count], text)) return false;
  }
  return true;
}

tiny_zap *tiny_zap_open(void *context, const tiny_publisher_parts *parts, const json_t *keys) {
  tiny_zap *zap = calloc(1, sizeof *zap + json_array_size(keys) * KEY);
  if (!zap) return NULL;
  void *zmq = decode_keys(zap, keys) ? bind_handler(context) : NULL;
  zap->parts = parts;
  zap->socket.take = take_request;
  zap->socket.closed = on_closed;
  zap->socket.data = zap;
  if (zmq && tiny_feed_socket_open(&zap->socket, parts->loop, zmq) == 0) return zap;
  free(zap);
  return NULL;
}

void tiny_zap_close(tiny_zap *zap) {
  if (zap) tiny_feed_socket_close(&zap->socket);
}
