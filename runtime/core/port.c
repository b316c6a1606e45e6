/* SPDX-License-Identifier: MIT
 * port.c -- opening, handing over and closing listening sockets. */
#include "port.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPTS = 64, REST_MS = 20, TELL_MS = 60000, KEY = sizeof((tiny_address *)0)->host + 16 };

struct tiny_port {
  tiny_claim claim;
  tiny_poll poll;
  tiny_harbour *harbour;
  uv_timer_t rest; /* no descriptors or no room: look again a little later */
  unsigned refs;   /* the claim's own, the timer's, and those of connections */
  unsigned live;   /* connections */
  bool flows, closed;
  char key[KEY];          /* as it was asked for */
  tiny_endpoint endpoint; /* where it is bound */
  dev_t device;           /* the file of a unix socket that we made; inode 0: none */
  ino_t inode;
};

/* -- accepting ------------------------------------------------------------- */

static void drop(tiny_port *port) {
  if (--port->refs == 0) free(port);
}

static void on_rested(uv_timer_t *timer) {
  tiny_port *port = timer->data;
  if (port->flows) tiny_poll_change(port->harbour->poller, &port->poll, EPOLLIN);
}

/* New connections wait in the kernel meanwhile. */
static void rest(tiny_port *port) {
  tiny_poll_change(port->harbour->poller, &port->poll, 0);
  uv_timer_start(&port->rest, on_rested, REST_MS, 0);
}

/* A server without descriptors seems to hang; once a minute will do. */
static void tell_why(tiny_harbour *h, int error) {
  uint64_t now = uv_now(h->loop);
  if (h->told_ms && now - h->told_ms < TELL_MS) return;
  h->told_ms = now;
  tiny_warn(h->log, "connections have to wait: %s", strerror(error));
}

/* Returns whether there may be more. */
static bool accept_one(tiny_port *port, tiny_acceptor *acceptor) {
  tiny_endpoint peer = {.size = sizeof peer.unix_path};
  if (port->live >= acceptor->limit) {
    rest(port);
    return false;
  }
  int fd = accept4(port->poll.fd, &peer.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    acceptor->accept(acceptor, port, fd, &peer);
    return port->flows;
  }
  int error = errno;
  if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
    tell_why(port->harbour, error);
    rest(port);
  }
  return error == ECONNABORTED || error == EINTR || error == EPROTO;
}

static void on_event(tiny_poll *poll, uint32_t events) {
  (void)events;
  tiny_port *port = (tiny_port *)((char *)poll - offsetof(tiny_port, poll));
  port->refs++; /* a connection's first act may be to close the port */
  for (int i = 0; i < ACCEPTS && accept_one(port, tiny_port_acceptor(port)); i++) continue;
  drop(port);
}

/* -- the claim ------------------------------------------------------------- */

static void flow(tiny_claim *claim, bool flows) {
  tiny_port *port = (tiny_port *)claim;
  port->flows = flows;
  uv_timer_stop(&port->rest);
  tiny_poll_change(port->harbour->poller, &port->poll, flows ? EPOLLIN : 0);
}

static void on_timer_closed(uv_handle_t *handle) { drop(handle->data); }

/* Only the file that we made: another server may have put its own there. */
static void remove_file(const tiny_port *port) {
  struct stat file;
  const char *path = port->endpoint.unix_path.sun_path;
  if (port->inode && stat(path, &file) == 0 && file.st_dev == port->device &&
      file.st_ino == port->inode)
    unlink(path);
}

static void close_port(tiny_claim *claim) {
  tiny_port *port = (tiny_port *)claim;
  remove_file(port);
  close(tiny_poll_remove(port->harbour->poller, &port->poll));
  port->flows = false;
  port->closed = true;
  uv_close((uv_handle_t *)&port->rest, on_timer_closed);
  drop(port);
}

static void forget(void *user) { tiny_acceptor_drop(user); }

static const tiny_claim_kind kind = {flow, close_port, forget, false};

void tiny_acceptor_drop(tiny_acceptor *acceptor) {
  if (--acceptor->refs > 0) return;
  tiny_tls_drop(acceptor->tls);
  acceptor->free(acceptor);
}

/* -- opening --------------------------------------------------------------- */

/* A socket without anybody behind it, as a server that crashed leaves it. Connecting to a file that is no
 * socket is refused too: that one is not ours to remove. */
static bool is_stale(const tiny_endpoint *e) {
  struct stat file;
  if (lstat(e->unix_path.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool stale = fd >= 0 && connect(fd, &e->any, e->size) != 0 && errno == ECONNREFUSED;
  if (fd >= 0) close(fd);
  return stale;
}

static int bind_to(int fd, const tiny_endpoint *e) {
  if (bind(fd, &e->any, e->size) == 0) return 0;
  bool taken = errno == EADDRINUSE && e->any.sa_family == AF_UNIX && e->unix_path.sun_path[0];
  if (taken && is_stale(e) && unlink(e->unix_path.sun_path) == 0 && bind(fd, &e->any, e->size) == 0)
    return 0;
  return -errno;
}

/* Accepted sockets inherit all but SO_REUSEADDR. */
static void set_options(int fd, sa_family_t family) {
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (family == AF_UNIX) return;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

/* Returns a listening descriptor or a negative UV code. */
static int open_socket(const tiny_endpoint *e, int backlog) {
  int fd = socket(e->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  set_options(fd, e->any.sa_family);
  int rc = bind_to(fd, e);
  if (rc == 0 && listen(fd, backlog) != 0) rc = -errno;
  if (rc == 0) return fd;
  close(fd);
  return rc;
}

static void note_file(tiny_port *port) {
  struct stat file;
  const char *path = port->endpoint.unix_path.sun_path;
  if (port->endpoint.any.sa_family != AF_UNIX || !path[0] || stat(path, &file) != 0) return;
  port->device = file.st_dev;
  port->inode = file.st_ino;
}

static tiny_port *port_new(tiny_harbour *harbour, const char *key, int fd, int *rc) {
  tiny_port *port = calloc(1, sizeof *port);
  *rc = UV_ENOMEM;
  if (!port) return NULL;
  port->harbour = harbour;
  port->poll.on_event = on_event;
  port->refs = 2;
  port->endpoint.size = sizeof port->endpoint.unix_path;
  getsockname(fd, &port->endpoint.any, &port->endpoint.size);
  snprintf(port->key, sizeof port->key, "%s", key);
  *rc = tiny_poll_add(harbour->poller, &port->poll, fd, 0);
  if (*rc == 0) {
    uv_timer_init(harbour->loop, &port->rest);
    port->rest.data = port;
    return port;
  }
  free(port);
  return NULL;
}

/* Asked for in the same words, or by where it is: the kernel may have chosen its port. */
static bool is_called(const tiny_port *port, const char *key) {
  char bound[TINY_ENDPOINT_TEXT];
  tiny_endpoint_text(&port->endpoint, bound);
  return strcmp(port->key, key) == 0 || strcmp(bound, key) == 0;
}

/* One that the generation may have. */
static tiny_port *find(tiny_harbour *harbour, const char *key, uint64_t generation) {
  for (tiny_claim *c = harbour->claims.first; c; c = c->next) {
    if (c->kind != &kind || !tiny_claim_free_for(c, generation)) continue;
    if (is_called((tiny_port *)c, key)) return (tiny_port *)c;
  }
  return NULL;
}

static tiny_port *take(tiny_harbour *harbour, const char *key, tiny_tenant tenant) {
  tiny_port *port = find(harbour, key, tenant.generation);
  if (!port) return NULL;
  ((tiny_acceptor *)tenant.user)->refs++;
  tiny_claims_take(&harbour->claims, &port->claim, tenant);
  return port;
}

static tiny_port *add(tiny_harbour *harbour, const char *key, int fd, tiny_tenant tenant, int *rc) {
  tiny_port *port = port_new(harbour, key, fd, rc);
  if (!port) {
    close(fd);
    return NULL;
  }
  ((tiny_acceptor *)tenant.user)->refs++;
  tiny_claims_add(&harbour->claims, &port->claim, &kind, tenant);
  return port;
}

tiny_port *tiny_port_listen(tiny_harbour *harbour, const tiny_endpoint *endpoint, int backlog,
                            uint64_t generation, tiny_acceptor *acceptor, int *rc) {
  char key[TINY_ENDPOINT_TEXT];
  tiny_tenant tenant = {.generation = generation, .user = acceptor};
  tiny_endpoint_text(endpoint, key);
  tiny_port *port = take(harbour, key, tenant);
  if (port) return port;
  int fd = open_socket(endpoint, backlog);
  *rc = fd < 0 ? fd : 0;
  if (fd < 0) return NULL;
  port = add(harbour, key, fd, tenant, rc);
  if (port) note_file(port);
  return port;
}

static bool listens(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

tiny_port *tiny_port_adopt(tiny_harbour *harbour, const char *name, int nth, uint64_t generation,
                           tiny_acceptor *acceptor, int *rc) {
  char key[KEY];
  tiny_tenant tenant = {.generation = generation, .user = acceptor};
  snprintf(key, sizeof key, "fd:%.255s#%d", name, nth);
  tiny_port *port = take(harbour, key, tenant);
  if (port) return port;
  int fd = tiny_activation_take(harbour->activation, name);
  *rc = fd < 0 ? UV_ENOENT : UV_EINVAL;
  if (fd < 0) return NULL;
  if (!listens(fd)) return NULL; /* whatever it is, it was not meant for us */
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return add(harbour, key, fd, tenant, rc);
}

/* -- the rest -------------------------------------------------------------- */

void tiny_ports_release(tiny_harbour *harbour, const tiny_acceptor *acceptor) {
  for (tiny_claim *c = harbour->claims.first, *next; c; c = next) {
    next = c->next;
    if (c->kind == &kind && c->tenant.user == acceptor) tiny_claims_release(&harbour->claims, c);
  }
}

const tiny_endpoint *tiny_port_endpoint(const tiny_port *port) { return &port->endpoint; }

void tiny_port_join(tiny_port *port) {
  port->refs++;
  port->live++;
}

void tiny_port_leave(tiny_port *port) {
  port->live--;
  drop(port);
}

tiny_acceptor *tiny_port_acceptor(const tiny_port *port) {
  return port->closed ? NULL : port->claim.tenant.user;
}
