/* SPDX-License-Identifier: MIT
 * server.c -- plain sockets on the caller's epoll; the policy is asked before each request. */
#include "server.h"
#include "module.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct client {
  struct client *next;
  int fd;
  size_t size;
  char line[1024]; /* what has come of the next ones */
} client;

struct server {
  int epoll_fd, fd, port;
  store *store;
  tiny *runtime;
  client *clients;
};

static int watch(const server *s, int fd, void *whose) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
  return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(server *s, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(s->fd, 64) != 0 || getsockname(s->fd, (struct sockaddr *)&address, &size) != 0)
    return -1;
  s->port = ntohs(address.sin_port);
  return watch(s, s->fd, s);
}

server *server_open(int epoll_fd, int port, store *st, tiny *runtime) {
  server *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  *s = (server){.epoll_fd = epoll_fd, .fd = -1, .store = st, .runtime = runtime};
  if (listen_on(s, port) == 0) return s;
  server_close(s);
  return NULL;
}

static void drop(server *s, client *c) {
  client **at = &s->clients;
  while (*at != c) at = &(*at)->next;
  *at = c->next;
  close(c->fd);
  free(c);
}

void server_close(server *s) {
  while (s->clients) drop(s, s->clients);
  if (s->fd >= 0) close(s->fd);
  free(s);
}

int server_port(const server *s) { return s->port; }

static void answer(const client *c, const char *word, const char *text) {
  char line[1200];
  int size = snprintf(line, sizeof line, "%s%s%s\n", word, text ? " " : "", text ? text : "");
  /* Who does not read its answers goes without: this is an example. */
  if (send(c->fd, line, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
}

static void carry_out(server *s, const client *c, const question *q) {
  const char *value = q->answer;
  if (strcmp(q->op, "GET") == 0)
    value = store_get(s->store, q->key);
  else if (store_set(s->store, q->key, strcmp(q->op, "SET") == 0 ? value : NULL) != 0)
    value = NULL;
  if (value)
    answer(c, "OK", *value ? value : NULL);
  else
    answer(c, "NONE", NULL);
}

/* Returns false when there is no policy just now: the line has to wait. */
static bool handle(server *s, const client *c, char *line) {
  char why[512], *rest = line;
  question q = {.op = strsep(&rest, " "), .key = strsep(&rest, " "), .value = rest};
  bool known = strcmp(q.op, "GET") == 0 || strcmp(q.op, "SET") == 0 || strcmp(q.op, "DEL") == 0;
  if (!known || !q.key) {
    answer(c, "ERROR", "GET key, SET key value or DEL key");
    return true;
  }
  int rc = module_ask(s->runtime, &q, why, sizeof why);
  if (rc == -EAGAIN) return false;
  if (rc != 0)
    answer(c, "ERROR", "the policy failed");
  else if (!q.admitted)
    answer(c, "DENIED", q.answer);
  else
    carry_out(s, c, &q);
  return true;
}

/* All whole lines that have come. */
static void take_lines(server *s, client *c) {
  char line[sizeof c->line], *end;
  while ((end = memchr(c->line, '\n', c->size))) {
    size_t size = (size_t)(end - c->line) + 1;
    memcpy(line, c->line, size);
    line[size - 1] = 0;
    if (!handle(s, c, line)) return;
    c->size -= size;
    memmove(c->line, c->line + size, c->size);
  }
}

static void accept_one(server *s) {
  client *c = calloc(1, sizeof *c);
  int fd = c ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
  if (fd < 0 || watch(s, fd, c) != 0) {
    if (fd >= 0) close(fd);
    free(c);
    return;
  }
  c->fd = fd;
  c->next = s->clients;
  s->clients = c;
}

void server_on_event(server *s, void *whose) {
  client *c = whose;
  if (whose == s) {
    accept_one(s);
    return;
  }
  size_t room = sizeof c->line - c->size;
  if (room == 0 && memchr(c->line, '\n', c->size)) return; /* its lines wait for a policy */
  ssize_t n = recv(c->fd, c->line + c->size, room, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) { /* gone, or a line that is too long */
    drop(s, c);
    return;
  }
  c->size += (size_t)n;
  take_lines(s, c);
}

void server_retry(server *s) {
  for (client *c = s->clients; c; c = c->next) take_lines(s, c);
}
