/* SPDX-License-Identifier: MIT
 * api_udp.c -- tiny.core.udp: bound UDP sockets, claimed by their address. */
#include "api_address.h"
#include "handle.h"
#include "runtime.h"
#include "wait.h"
#include "waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATAGRAM = 65536 }; /* no UDP datagram is longer */

typedef struct udp {
  tiny_claim claim;
  tiny_poll poll;
  tiny_poller *poller;
  unsigned refs; /* the claim's and those of handles */
  tiny_task *reader;
  tiny_waiters writers;
  char key[TINY_ENDPOINT_TEXT]; /* as it was asked for */
  tiny_endpoint endpoint;       /* where it is bound */
} udp;

/* -- life ------------------------------------------------------------------ */

static void on_event(tiny_poll *poll, uint32_t events) {
  udp *u = (udp *)((char *)poll - offsetof(udp, poll));
  tiny_task *reader = events & EPOLLIN ? u->reader : NULL;
  if (events & EPOLLOUT) tiny_waiters_wake(&u->writers, UINT_MAX);
  if (!reader) return;
  u->reader = NULL;
  tiny_task_resume(reader);
}

static void drop(void *thing) {
  udp *u = thing;
  if (--u->refs == 0) free(u);
}

static void fail_reader(udp *u) {
  if (u->reader) tiny_task_wake_failed(u->reader, UV_ECANCELED);
  u->reader = NULL;
}

static const tiny_handle_kind kind = {"tiny.udp", "tiny.udp", drop, NULL, NULL};

/* -- the claim ------------------------------------------------------------- */

static void flow(tiny_claim *claim, bool flows) { (void)claim, (void)flows; } /* tasks ask for it */

static void forget(void *user) { (void)user; }

static void close_udp(tiny_claim *claim) {
  udp *u = (udp *)claim;
  close(tiny_poll_remove(u->poller, &u->poll));
  fail_reader(u);
  tiny_waiters_wake(&u->writers, UINT_MAX);
  drop(u);
}

static const tiny_claim_kind claim_kind = {flow, close_udp, forget, true};

static udp *find(const tiny_claims *claims, const char *key, uint64_t generation) {
  for (tiny_claim *c = claims->first; c; c = c->next) {
    if (c->kind != &claim_kind || !tiny_claim_free_for(c, generation)) continue;
    char bound[TINY_ENDPOINT_TEXT];
    tiny_endpoint_text(&((udp *)c)->endpoint, bound);
    if (strcmp(((udp *)c)->key, key) == 0 || strcmp(bound, key) == 0) return (udp *)c;
  }
  return NULL;
}

/* -- binding --------------------------------------------------------------- */

/* Returns a bound descriptor or a negative UV code. */
static int open_socket(const tiny_endpoint *e) {
  if (e->any.sa_family == AF_UNIX) return UV_EAFNOSUPPORT;
  int on = 1, fd = socket(e->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (e->any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  if (bind(fd, &e->any, e->size) == 0) return fd;
  int rc = -errno;
  close(fd);
  return rc;
}

static udp *udp_new(tiny_harbour *harbour, int fd, const char *key, int *rc) {
  udp *u = calloc(1, sizeof *u);
  *rc = UV_ENOMEM;
  if (u) {
    u->poller = harbour->poller;
    u->poll.on_event = on_event;
    u->endpoint.size = sizeof u->endpoint.unix_path;
    getsockname(fd, &u->endpoint.any, &u->endpoint.size);
    memcpy(u->key, key, sizeof u->key);
    *rc = tiny_poll_add(harbour->poller, &u->poll, fd, EPOLLIN | EPOLLOUT | EPOLLET);
    if (*rc == 0) return u;
  }
  free(u);
  close(fd);
  return NULL;
}

/* 'own': one of port 0 is for nobody else. */
static udp *claim(tiny_generation *g, const tiny_endpoint *e, bool own, int *rc) {
  tiny_harbour *harbour = &g->runtime->sockets->harbour;
  char key[TINY_ENDPOINT_TEXT];
  tiny_tenant tenant = {.generation = g->number, .own = own && e->ip4.sin_port == 0};
  tiny_endpoint_text(e, key);
  udp *u = tenant.own ? NULL : find(&harbour->claims, key, g->number);
  if (u) {
    tiny_claims_take(&harbour->claims, &u->claim, tenant);
    fail_reader(u);
    return u;
  }
  int fd = open_socket(e);
  *rc = fd;
  u = fd >= 0 ? udp_new(harbour, fd, key, rc) : NULL;
  if (!u) return NULL;
  u->refs = 1;
  tiny_claims_add(&harbour->claims, &u->claim, &claim_kind, tenant);
  return u;
}

/* bind(endpoint) -> socket | nil, code */
static int l_bind(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.udp.bind");
  const tiny_endpoint *e = tiny_endpoint_check(L, 1);
  tiny_handle *handle = tiny_handle_new(L, &kind);
  int rc = UV_ECANCELED; /* on its way out it opens nothing more */
  bool own = tiny_tasks_serve_request(g);
  udp *u = g->life == TINY_ENTERED ? claim(g, e, own, &rc) : NULL;
  if (!u) return tiny_failed(L, rc);
  u->refs++;
  tiny_handle_set(handle, u);
  return 1;
}

/* -- using ----------------------------------------------------------------- */

/* NULL once it is closed. */
static udp *check(lua_State *L) {
  udp *u = tiny_handle_check(L, 1, &kind)->thing;
  return u && u->poll.fd >= 0 ? u : NULL;
}

static bool owns(lua_State *L, const udp *u) {
  return u->claim.tenant.generation == tiny_generation_of(L)->number;
}

static void leave_reader(tiny_task *task) { ((udp *)task->source)->reader = NULL; }

/* recv(socket, deadline) -> data, from. Whoever asks last has it. */
static int l_recv(lua_State *L) {
  udp *u = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "udp:recv");
  char data[DATAGRAM];
  tiny_endpoint from = {.size = sizeof from.unix_path};
  if (!u || !owns(L, u)) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  fail_reader(u);
  ssize_t n = recvfrom(u->poll.fd, data, sizeof data, 0, &from.any, &from.size);
  if (n < 0 && errno == EAGAIN && !tiny_wait_late(deadline)) {
    u->reader = task;
    return tiny_task_park_until(task, leave_reader, u, deadline);
  }
  if (n < 0) return tiny_wait_failed(L, errno == EAGAIN ? UV_ETIMEDOUT : -errno);
  tiny_wait_over(L);
  lua_pushlstring(L, data, (size_t)n);
  tiny_endpoint_push_text(L, &from);
  return 4;
}

static void leave_writers(tiny_task *task) {
  tiny_waiters_remove(&((udp *)task->source)->writers, task);
}

/* send(socket, data, endpoint) -> true */
static int l_send(lua_State *L) {
  udp *u = check(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  const tiny_endpoint *to = tiny_endpoint_check(L, 3);
  tiny_task *task = tiny_task_here(L, "udp:send");
  if (!u) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  if (sendto(u->poll.fd, data, size, MSG_NOSIGNAL, &to->any, to->size) >= 0)
    return tiny_wait_true(L);
  if (errno != EAGAIN) return tiny_wait_failed(L, -errno);
  tiny_waiters_add(&u->writers, task);
  return tiny_task_park(task, leave_writers, u);
}

/* address(socket) -> where it is bound */
static int l_address(lua_State *L) {
  udp *u = tiny_handle_check(L, 1, &kind)->thing;
  if (!u) return 0;
  tiny_endpoint_push_text(L, &u->endpoint);
  return 1;
}

/* close(socket): the claim is let go, when it is ours */
static int l_close(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  udp *u = check(L);
  if (u && owns(L, u)) {
    fail_reader(u);
    tiny_claims_release(&handle->generation->runtime->sockets->harbour.claims, &u->claim);
  }
  tiny_handle_close(handle);
  return 0;
}

static const luaL_Reg functions[] = {{"bind", l_bind},       {"recv", l_recv},   {"send", l_send},
                                     {"address", l_address}, {"close", l_close}, {NULL, NULL}};

int luaopen_tiny_udp(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  tiny_handle_register(L, &kind);
  lua_setfield(L, -2, "handle"); /* the metatable, for lua/tiny/udp.lua */
  return 1;
}
