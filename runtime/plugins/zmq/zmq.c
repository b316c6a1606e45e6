/* SPDX-License-Identifier: MIT
 * zmq.c -- the "zmq" plugin: sockets whose owners are told when they can be used.
 *
 * ZMQ_FD tells of a change once, and any call on the socket may take that notice away. So the
 * state of those that somebody waits for is looked at again before each wait of the loop. */
#include "sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* -- readiness ------------------------------------------------------------- */

static int events_of(const tiny_zmq_socket *s) {
  int events = 0;
  size_t size = sizeof events;
  if (!s->zmq || zmq_getsockopt(s->zmq, ZMQ_EVENTS, &events, &size) != 0) return 0;
  return (s->wants_in ? events & ZMQ_POLLIN : 0) | (s->wants_out ? events & ZMQ_POLLOUT : 0);
}

static bool tell(tiny_zmq_socket *s) {
  int events = events_of(s);
  if (events) s->ready(s->owner, events & ZMQ_POLLIN, events & ZMQ_POLLOUT);
  return events != 0;
}

static void on_fd(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  tell(poll->data);
}

/* One that closes meanwhile stays in memory until its handle has closed. */
static void on_idle(uv_idle_t *idle) {
  tiny_zmq *all = idle->data;
  bool any = false;
  for (tiny_zmq_socket *s = all->sockets, *next; s; s = next) {
    next = s->next;
    if (tell(s)) any = true;
  }
  if (!any) uv_idle_stop(idle);
}

static void on_prepare(uv_prepare_t *prepare) {
  tiny_zmq *all = prepare->data;
  for (tiny_zmq_socket *s = all->sockets; s; s = s->next)
    if ((s->wants_in || s->wants_out) && events_of(s)) {
      uv_idle_start(&all->idle, on_idle);
      return;
    }
}

void zmq_sockets_want(tiny_zmq_socket *s, bool in, bool out) {
  s->wants_in = in;
  s->wants_out = out;
}

/* -- opening --------------------------------------------------------------- */

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

static int set_int(void *zmq, int option, int value) {
  if (value < 0) return 0;
  return zmq_setsockopt(zmq, option, &value, sizeof value);
}

static int set_curve(tiny_zmq_socket *s, const tiny_zmq_curve *c) {
  int one = 1;
  if (!c->secret_key) return 0;
  if (zmq_setsockopt(s->zmq, ZMQ_CURVE_SECRETKEY, c->secret_key, strlen(c->secret_key)) != 0)
    return -1;
  if (c->public_key &&
      zmq_setsockopt(s->zmq, ZMQ_CURVE_PUBLICKEY, c->public_key, strlen(c->public_key)) != 0)
    return -1;
  if (c->server_key)
    return zmq_setsockopt(s->zmq, ZMQ_CURVE_SERVERKEY, c->server_key, strlen(c->server_key));
  if (zmq_setsockopt(s->zmq, ZMQ_CURVE_SERVER, &one, sizeof one) != 0) return -1;
  return zmq_zap_guard(s, c->clients);
}

/* A message that nobody is there for is an error of ROUTER's, not lost without a word. IPv6 is
 * understood as elsewhere. */
static int set_options(tiny_zmq_socket *s, int type, const tiny_zmq_order *o) {
  void *zmq = s->zmq;
  int rc = set_int(zmq, ZMQ_SNDHWM, o->send_hwm) | set_int(zmq, ZMQ_RCVHWM, o->recv_hwm) |
           set_int(zmq, ZMQ_LINGER, o->linger_ms) |
           set_int(zmq, ZMQ_HEARTBEAT_IVL, o->heartbeat_ms) | set_int(zmq, ZMQ_IPV6, 1);
  if (type == ZMQ_ROUTER)
    rc |= set_int(zmq, ZMQ_ROUTER_MANDATORY, 1) | set_int(zmq, ZMQ_ROUTER_HANDOVER, 1);
  if (o->max_size >= 0) {
    int64_t most = o->max_size;
    rc |= zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &most, sizeof most);
  }
  if (o->identity) rc |= zmq_setsockopt(zmq, ZMQ_ROUTING_ID, o->identity, strlen(o->identity));
  return rc == 0 ? set_curve(s, &o->curve) : -1;
}

/* ZeroMQ takes the path of an ipc endpoint away from whoever serves there, without a word. */
static bool is_served(const char *endpoint) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = endpoint + strlen("ipc://");
  if (strncmp(endpoint, "ipc://", 6) != 0 || *path == '@' ||
      strlen(path) >= sizeof address.sun_path)
    return false;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool served =
      fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN);
  if (fd >= 0) close(fd);
  return served;
}

static int bind_to(void *zmq, const char *endpoint) {
  if (!is_served(endpoint)) return zmq_bind(zmq, endpoint);
  errno = EADDRINUSE;
  return -1;
}

static int attach(tiny_zmq_socket *s, const tiny_zmq_order *o, char *why, size_t why_size) {
  for (int i = 0; o->binds && o->binds[i]; i++)
    if (bind_to(s->zmq, o->binds[i]) != 0) {
      snprintf(why, why_size, "%s", o->binds[i]);
      return -1;
    }
  for (int i = 0; o->connects && o->connects[i]; i++)
    if (zmq_connect(s->zmq, o->connects[i]) != 0) {
      snprintf(why, why_size, "%s", o->connects[i]);
      return -1;
    }
  return 0;
}

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
  return uv_poll_start(&s->poll, UV_READABLE, on_fd);
}

static void free_socket(tiny_zmq_socket *s) {
  zmq_zap_unguard(s);
  for (int i = 0; i < s->room; i++) free(s->messages[i]);
  free(s->messages);
  free(s->parts);
  free(s);
}

/* Whatever it was that failed last is told by errno. */
static tiny_zmq_socket *give_up(tiny_zmq_socket *s, int *code) {
  int last = errno;
  *code = last;
  if (s && s->zmq) zmq_close(s->zmq);
  if (s) free_socket(s);
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
  s->next = all->sockets;
  all->sockets = s;
  return s;
}

static void on_socket_closed(uv_handle_t *handle) { free_socket(handle->data); }

static void forget_message(tiny_zmq_socket *s) {
  for (int i = 0; i < s->count; i++) zmq_msg_close(s->messages[i]);
  s->count = 0;
}

/* The handle goes first: its fd is the socket's. */
void zmq_sockets_close(tiny_zmq_socket *s) {
  tiny_zmq_socket **at = &s->all->sockets;
  while (*at != s) at = &(*at)->next;
  *at = s->next;
  forget_message(s);
  uv_close((uv_handle_t *)&s->poll, on_socket_closed);
  zmq_close(s->zmq);
  s->zmq = NULL;
}

/* -- messages -------------------------------------------------------------- */

/* Only the first part can be refused: the others belong to it. */
int zmq_sockets_send(tiny_zmq_socket *s, const tiny_zmq_part *parts, int count) {
  for (int i = 0; i < count; i++) {
    int flags = ZMQ_DONTWAIT | (i < count - 1 ? ZMQ_SNDMORE : 0), rc;
    do rc = zmq_send(s->zmq, parts[i].data, parts[i].size, flags);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) return errno;
  }
  return 0;
}

static int make_room(tiny_zmq_socket *s) {
  if (s->count < s->room) return 0;
  zmq_msg_t **messages = realloc(s->messages, (size_t)(s->room + 1) * sizeof *messages);
  if (messages) s->messages = messages;
  tiny_zmq_part *parts = realloc(s->parts, (size_t)(s->room + 1) * sizeof *parts);
  if (parts) s->parts = parts;
  zmq_msg_t *message = messages && parts ? malloc(sizeof *message) : NULL;
  if (!message) return ENOMEM;
  s->messages[s->room++] = message;
  return 0;
}

static int receive_part(tiny_zmq_socket *s) {
  int rc = make_room(s);
  if (rc != 0) return rc;
  zmq_msg_t *message = s->messages[s->count];
  zmq_msg_init(message);
  do rc = zmq_msg_recv(message, s->zmq, ZMQ_DONTWAIT);
  while (rc < 0 && errno == EINTR);
  if (rc < 0) return errno;
  s->parts[s->count++] = (tiny_zmq_part){zmq_msg_data(message), zmq_msg_size(message)};
  return 0;
}

int zmq_sockets_receive(tiny_zmq_socket *s, const tiny_zmq_part **parts, int *count) {
  int rc;
  forget_message(s);
  do rc = receive_part(s);
  while (rc == 0 && zmq_msg_more(s->messages[s->count - 1]));
  *parts = s->parts;
  *count = s->count;
  return rc;
}

/* XSUB subscribes by a message. */
static int subscribe(tiny_zmq_socket *s, const char *topic, size_t size, bool on) {
  int option = on ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE;
  if (zmq_setsockopt(s->zmq, option, topic, size) == 0) return 0;
  char *frame = errno == EINVAL ? malloc(size + 1) : NULL;
  if (!frame) return errno;
  frame[0] = on;
  memcpy(frame + 1, topic, size);
  int rc = zmq_send(s->zmq, frame, size + 1, ZMQ_DONTWAIT) < 0 ? errno : 0;
  free(frame);
  return rc;
}

static const char *endpoint(tiny_zmq_socket *s) {
  size_t size = sizeof s->endpoint;
  if (zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, s->endpoint, &size) != 0) s->endpoint[0] = 0;
  return s->endpoint;
}

static const char *describe(int code, const char **name) {
  *name = code == EFSM             ? "EFSM"
          : code == ETERM          ? "ETERM"
          : code == ENOCOMPATPROTO ? "ENOCOMPATPROTO"
                                   : uv_err_name(-code);
  return zmq_strerror(code);
}

/* -- all of them ----------------------------------------------------------- */

static tiny_zmq *start(uv_loop_t *loop) {
  tiny_zmq *all = calloc(1, sizeof *all);
  if (all) all->context = zmq_ctx_new();
  if (!all || !all->context) {
    free(all);
    return NULL;
  }
  all->loop = loop;
  zmq_ctx_set(all->context, ZMQ_MAX_SOCKETS, zmq_ctx_get(all->context, ZMQ_SOCKET_LIMIT));
  all->handles = 2;
  uv_prepare_init(loop, &all->prepare);
  uv_idle_init(loop, &all->idle);
  all->prepare.data = all->idle.data = all;
  uv_prepare_start(&all->prepare, on_prepare);
  return all;
}

static void on_closed(uv_handle_t *handle) {
  tiny_zmq *all = handle->data;
  if (--all->handles == 0) free(all);
}

static void stop(tiny_zmq *all) {
  if (all->zap) zmq_sockets_close(all->zap);
  zmq_ctx_term(all->context);
  uv_close((uv_handle_t *)&all->prepare, on_closed);
  uv_close((uv_handle_t *)&all->idle, on_closed);
}

__attribute__((visibility("default")))
const tiny_zmq_table tiny_zmq_functions = {start,
                                           stop,
                                           zmq_sockets_open,
                                           zmq_sockets_close,
                                           zmq_sockets_want,
                                           zmq_sockets_send,
                                           zmq_sockets_receive,
                                           subscribe,
                                           endpoint,
                                           describe};
