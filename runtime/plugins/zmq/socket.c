/* SPDX-License-Identifier: MIT
 * socket.c -- sockets by their type, with options, endpoints and keys. */
#include "sockets.h"
#include "unix_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest pause between attempts to connect: with hundreds of peers away they add up. */
enum { RECONNECT_MAX_MS = 2000 };

static int type_of(const char *name) {
  static const struct {
    const char *name;
    int type;
  } types[] = {{"PAIR", ZMQ_PAIR},     {"PUB", ZMQ_PUB},   {"SUB", ZMQ_SUB},
               {"REQ", ZMQ_REQ},       {"REP", ZMQ_REP},   {"DEALER", ZMQ_DEALER},
               {"ROUTER", ZMQ_ROUTER}, {"PULL", ZMQ_PULL}, {"PUSH", ZMQ_PUSH},
               {"XPUB", ZMQ_XPUB},     {"XSUB", ZMQ_XSUB}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, name) == 0) return types[i].type;
  return -1;
}

/* -- options --------------------------------------------------------------- */

static int set_int(void *zmq, int option, int value) {
  if (value < 0) return 0;
  return zmq_setsockopt(zmq, option, &value, sizeof value);
}

static int set_text(void *zmq, int option, const char *text) {
  return text ? zmq_setsockopt(zmq, option, text, strlen(text)) : 0;
}

static int set_curve(tiny_zmq_socket *s, const tiny_zmq_curve *c) {
  if (!c->secret_key) return 0;
  if (set_text(s->zmq, ZMQ_CURVE_SECRETKEY, c->secret_key) != 0 ||
      set_text(s->zmq, ZMQ_CURVE_PUBLICKEY, c->public_key) != 0 ||
      set_text(s->zmq, ZMQ_CURVE_SERVERKEY, c->server_key) != 0)
    return -1;
  if (c->server_key) return 0;
  if (set_int(s->zmq, ZMQ_CURVE_SERVER, 1) != 0) return -1;
  return zmq_zap_guard(s, c->clients);
}

/* A name is looked up as one kind of address, the first there is, and no other is tried: IPv6 only where
 * somebody says so, by an address in brackets. */
static bool has_ipv6(const char *const *endpoints) {
  for (; endpoints && *endpoints; endpoints++)
    if (strstr(*endpoints, "://[")) return true;
  return false;
}

/* A message that nobody is there for is an error of ROUTER's, not lost without a word; a peer that
 * comes again takes the place of what is left of it. */
static int set_options(tiny_zmq_socket *s, int type, const tiny_zmq_order *o) {
  void *zmq = s->zmq;
  int64_t most = o->max_size;
  int rc = set_int(zmq, ZMQ_SNDHWM, o->send_hwm) | set_int(zmq, ZMQ_RCVHWM, o->recv_hwm) |
           set_int(zmq, ZMQ_LINGER, o->linger_ms) |
           set_int(zmq, ZMQ_IPV6, has_ipv6(o->binds) || has_ipv6(o->connects)) |
           set_int(zmq, ZMQ_HEARTBEAT_IVL, o->heartbeat_ms) |
           set_int(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) |
           set_text(zmq, ZMQ_ROUTING_ID, o->identity);
  if (type == ZMQ_ROUTER)
    rc |= set_int(zmq, ZMQ_ROUTER_MANDATORY, 1) | set_int(zmq, ZMQ_ROUTER_HANDOVER, 1);
  if (most >= 0) rc |= zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &most, sizeof most);
  return rc == 0 ? set_curve(s, &o->curve) : -1;
}

int zmq_sockets_change(tiny_zmq_socket *s, const tiny_zmq_order *o) {
  int rc = set_int(s->zmq, ZMQ_LINGER, o->linger_ms);
  if (rc == 0 && s->guard && o->curve.clients) rc = zmq_zap_guard(s, o->curve.clients);
  return rc == 0 ? 0 : errno;
}

/* -- endpoints ------------------------------------------------------------- */

/* ZeroMQ takes whatever lies at the path of an ipc endpoint away, without a word. */
static int make_way(const char *endpoint) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = zmq_files_path(endpoint);
  if (!path || strlen(path) >= sizeof address.sun_path) return 0;
  strcpy(address.sun_path, path);
  errno = -tiny_unix_clear(&address);
  return errno == 0 ? 0 : -1;
}

static int bind_to(tiny_zmq_socket *s, const char *endpoint) {
  if (make_way(endpoint) != 0 || zmq_bind(s->zmq, endpoint) != 0) return -1;
  zmq_files_note(s, endpoint);
  return 0;
}

static int connect_to(tiny_zmq_socket *s, const char *endpoint) {
  return zmq_connect(s->zmq, endpoint);
}

/* Returns the endpoint that it fails at, with errno; NULL when all are used. */
static const char *use(tiny_zmq_socket *s, const char *const *endpoints,
                       int (*fn)(tiny_zmq_socket *, const char *)) {
  for (; endpoints && *endpoints; endpoints++)
    if (fn(s, *endpoints) != 0) return *endpoints;
  return NULL;
}

static int attach(tiny_zmq_socket *s, const tiny_zmq_order *o, char *why, size_t why_size) {
  const char *failed = use(s, o->binds, bind_to);
  if (!failed) failed = use(s, o->connects, connect_to);
  if (failed) snprintf(why, why_size, "%s", failed);
  return failed ? -1 : 0;
}

/* -- life ------------------------------------------------------------------ */

static int watch(tiny_zmq_socket *s) {
  int fd = -1;
  size_t size = sizeof fd;
  zmq_getsockopt(s->zmq, ZMQ_FD, &fd, &size);
  int rc = uv_poll_init(s->all->loop, &s->poll, fd);
  if (rc != 0) {
    errno = -rc;
    return -1;
  }
  s->poll.data = s;
  return uv_poll_start(&s->poll, UV_READABLE, zmq_ready_on_fd);
}

static void free_socket(tiny_zmq_socket *s) {
  zmq_message_free(s);
  free(s);
}

/* Whatever it was that failed last is told by errno. */
static tiny_zmq_socket *give_up(tiny_zmq_socket *s, int *code) {
  *code = errno;
  if (!s) return NULL;
  if (s->zmq) zmq_close(s->zmq);
  zmq_files_remove(s);
  zmq_zap_unguard(s);
  free_socket(s);
  return NULL;
}

tiny_zmq_socket *zmq_sockets_open(tiny_zmq *all, const tiny_zmq_order *o, char *why,
                                  size_t why_size, int *code) {
  int type = type_of(o->type);
  tiny_zmq_socket *s = calloc(1, sizeof *s);
  snprintf(why, why_size, "%s", o->type);
  errno = EINVAL;
  if (type < 0 || !s) return give_up(s, code);
  s->all = all;
  s->ready = o->ready;
  s->owner = o->owner;
  s->zmq = zmq_socket(all->context, type);
  if (!s->zmq || set_options(s, type, o) != 0 || attach(s, o, why, why_size) != 0 || watch(s) != 0)
    return give_up(s, code);
  zmq_ready_touch(s);
  return s;
}

static void on_closed(uv_handle_t *handle) { free_socket(handle->data); }

/* The handle goes first: its fd is the socket's. What belongs to all of them goes now: they may
 * be gone when the handle is closed. */
void zmq_sockets_close(tiny_zmq_socket *s) {
  zmq_ready_forget(s);
  zmq_message_drop(s);
  uv_close((uv_handle_t *)&s->poll, on_closed);
  zmq_close(s->zmq);
  zmq_files_remove(s);
  zmq_zap_unguard(s);
  s->zmq = NULL;
}
