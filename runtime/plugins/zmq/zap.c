/* SPDX-License-Identifier: MIT
 * zap.c -- each guarded socket has a domain of its own, and its clients' keys. */
#include "sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libzmq has it since 4.3.0, and declares it among its drafts. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

enum { KEY = 32, Z85 = 40 };

/* The parts of a request, in their order. */
enum { VERSION, REQUEST, DOMAIN, ADDRESS, ROUTE, MECHANISM, CREDENTIALS, PARTS };

typedef struct zmq_guard {
  struct zmq_guard *next;
  char domain[24];
  size_t count;
  unsigned char (*keys)[KEY];
} zmq_guard;

static bool is(const tiny_zmq_part *part, const char *text) {
  return part->size == strlen(text) && memcmp(part->data, text, part->size) == 0;
}

static bool is_allowed(const tiny_zmq *all, const tiny_zmq_part *request) {
  const zmq_guard *guard = all->guards;
  while (guard && !is(&request[DOMAIN], guard->domain)) guard = guard->next;
  if (!guard || !is(&request[VERSION], "1.0") || !is(&request[MECHANISM], "CURVE")) return false;
  for (size_t i = 0; i < guard->count; i++)
    if (request[CREDENTIALS].size == KEY &&
        memcmp(guard->keys[i], request[CREDENTIALS].data, KEY) == 0)
      return true;
  return false;
}

static void on_request(void *owner, bool in, bool out) {
  tiny_zmq *all = owner;
  const tiny_zmq_part *request;
  int count;
  (void)in, (void)out;
  if (zmq_message_receive(all->zap, &request, &count) != 0) return;
  bool allowed = count == PARTS && is_allowed(all, request);
  tiny_zmq_part id = count > REQUEST ? request[REQUEST] : (tiny_zmq_part){"", 0};
  tiny_zmq_part reply[] = {
      {"1.0", 3}, id, {allowed ? "200" : "400", 3}, {allowed ? "OK" : "No", 2}, {"", 0}, {"", 0}};
  zmq_message_send(all->zap, reply, sizeof reply / sizeof *reply);
}

static int open_handler(tiny_zmq *all) {
  static const char *const endpoint[] = {"inproc://zeromq.zap.01", NULL};
  tiny_zmq_order order = {.type = "REP",
                          .binds = endpoint,
                          .send_hwm = -1,
                          .recv_hwm = -1,
                          .linger_ms = 0,
                          .heartbeat_ms = -1,
                          .max_size = -1,
                          .ready = on_request,
                          .owner = all};
  char why[64];
  int code = 0;
  if (all->zap) return 0;
  all->zap = zmq_sockets_open(all, &order, why, sizeof why, &code);
  if (all->zap) zmq_ready_want(all->zap, true, false);
  errno = code;
  return all->zap ? 0 : -1;
}

/* Returns -1 with errno when one of them is no key. */
static int set_keys(zmq_guard *guard, const char *const *clients) {
  size_t count = 0;
  while (clients[count]) count++;
  unsigned char(*keys)[KEY] = calloc(count + 1, sizeof *keys);
  if (!keys) return -1;
  for (size_t i = 0; i < count; i++) {
    if (strlen(clients[i]) == Z85 && zmq_z85_decode(keys[i], clients[i])) continue;
    free(keys);
    errno = EINVAL;
    return -1;
  }
  free(guard->keys);
  guard->keys = keys;
  guard->count = count;
  return 0;
}

/* Nobody is in that domain unless the handler says so. */
static int open_guard(tiny_zmq_socket *s) {
  tiny_zmq *all = s->all;
  int one = 1;
  s->guard = calloc(1, sizeof *s->guard);
  if (!s->guard) return -1;
  snprintf(s->guard->domain, sizeof s->guard->domain, "tiny-%u", ++all->last_guard);
  s->guard->next = all->guards;
  all->guards = s->guard;
  if (zmq_setsockopt(s->zmq, ZMQ_ZAP_ENFORCE_DOMAIN, &one, sizeof one) != 0) return -1;
  return zmq_setsockopt(s->zmq, ZMQ_ZAP_DOMAIN, s->guard->domain, strlen(s->guard->domain));
}

int zmq_zap_guard(tiny_zmq_socket *s, const char *const *clients) {
  if (open_handler(s->all) != 0) return -1;
  if (!s->guard && open_guard(s) != 0) return -1;
  return set_keys(s->guard, clients);
}

void zmq_zap_unguard(tiny_zmq_socket *s) {
  if (!s->guard) return;
  zmq_guard **at = &s->all->guards;
  while (*at != s->guard) at = &(*at)->next;
  *at = s->guard->next;
  free(s->guard->keys);
  free(s->guard);
  s->guard = NULL;
}
