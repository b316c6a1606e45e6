/* SPDX-License-Identifier: MIT
 * zsocket.c -- the claim to a ZeroMQ socket, and the tasks that wait for it. */
#include "zsocket.h"
#include "runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
  PARTS_MAX = 4000,   /* Lua's stack takes twice as many */
  WAKE = 64,          /* writers in one turn: those for whom there is no room wait again */
  ROUTER_RETRY_MS = 5 /* a ROUTER cannot tell when that one peer can take more */
};

/* -- life ------------------------------------------------------------------ */

void tiny_zsocket_drop(void *thing) {
  tiny_zsocket *z = thing;
  if (--z->refs > 0) return;
  tiny_topics_clear(&z->topics);
  free(z);
}

tiny_zholder *tiny_zsocket_holder(const tiny_zsocket *z) { return z->claim.tenant.user; }

void tiny_zsocket_want(tiny_zsocket *z) {
  if (!z->zmq) return;
  bool in = z->readers.first || (z->flows && tiny_zholder_delivers(tiny_zsocket_holder(z)));
  z->table->want(z->zmq, in, z->writers.first && !z->is_router);
}

static void drop_message(tiny_zsocket *z, int count) {
  tiny_log *log = tiny_zsocket_holder(z)->generation->runtime->log;
  tiny_err(log, "a ZeroMQ message of %d parts was dropped", count);
  tiny_zsocket_answer_nothing(z);
}

int tiny_zsocket_receive(tiny_zsocket *z, const tiny_zmq_part **parts, int *count) {
  int code = z->table->receive(z->zmq, parts, count);
  if (code != 0 || *count <= PARTS_MAX) return code;
  drop_message(z, *count);
  return EAGAIN;
}

int tiny_zsocket_send(tiny_zsocket *z, const tiny_zmq_part *parts, int count) {
  int code = z->table->send(z->zmq, parts, count);
  if (code == 0) z->asked = NULL;
  return code;
}

void tiny_zsocket_answer_nothing(tiny_zsocket *z) {
  if (z->is_rep && z->zmq) tiny_zsocket_send(z, &(tiny_zmq_part){"", 0}, 1);
}

/* -- tasks that wait ------------------------------------------------------- */

static void leave_readers(tiny_task *task) {
  tiny_zsocket *z = task->source;
  tiny_waiters_remove(&z->readers, task);
  tiny_zsocket_want(z);
}

static void leave_writers(tiny_task *task) {
  tiny_zsocket *z = task->source;
  tiny_waiters_remove(&z->writers, task);
  tiny_zsocket_want(z);
}

int tiny_zsocket_park_reader(tiny_zsocket *z, tiny_task *task, uint64_t deadline) {
  tiny_waiters_add(&z->readers, task);
  tiny_zsocket_want(z);
  return tiny_task_park_until(task, leave_readers, z, deadline);
}

/* A ROUTER says that it can send as long as any peer can take something. */
int tiny_zsocket_park_writer(tiny_zsocket *z, tiny_task *task, uint64_t deadline) {
  uint64_t again = tiny_timers_now() + ROUTER_RETRY_MS * 1000000u;
  if (z->is_router && (!deadline || again < deadline)) deadline = again;
  tiny_waiters_add(&z->writers, task);
  tiny_zsocket_want(z);
  return tiny_task_park_until(task, leave_writers, z, deadline);
}

void tiny_zsocket_fail_readers(tiny_zsocket *z) {
  for (tiny_task *task; (task = tiny_waiters_take(&z->readers));)
    tiny_task_wake_failed(task, UV_ECANCELED);
}

static void on_ready(void *owner, bool in, bool out) {
  tiny_zsocket *z = owner;
  z->refs++;
  if (out) tiny_waiters_wake(&z->writers, WAKE);
  tiny_task *reader = in ? tiny_waiters_take(&z->readers) : NULL;
  if (reader) tiny_task_resume(reader);
  if (in && z->zmq) tiny_zholder_deliver(tiny_zsocket_holder(z));
  tiny_zsocket_want(z);
  tiny_zsocket_drop(z);
}

/* -- the claim ------------------------------------------------------------- */

static void flow(tiny_claim *claim, bool flows) {
  tiny_zsocket *z = (tiny_zsocket *)claim;
  z->flows = flows;
  tiny_zsocket_want(z);
}

static void forget(void *user) { tiny_zholder_drop(user); }

static void close_claim(tiny_claim *claim) {
  tiny_zsocket *z = (tiny_zsocket *)claim;
  z->table->close(z->zmq);
  z->zmq = NULL;
  tiny_zsocket_fail_readers(z);
  tiny_waiters_wake(&z->writers, UINT_MAX);
  tiny_zsocket_drop(z);
}

static const tiny_claim_kind kind = {flow, close_claim, forget, true};

static tiny_claims *claims_of(const tiny_zholder *h) {
  return &h->generation->runtime->sockets->harbour.claims;
}

static tiny_tenant tenant_of(tiny_zholder *h) {
  return (tiny_tenant){.generation = h->generation->number, .user = h};
}

tiny_zsocket *tiny_zsocket_take(const char *key, tiny_zholder *h) {
  tiny_claim *c = claims_of(h)->first;
  while (c && !(c->kind == &kind && tiny_claim_free_for(c, h->generation->number) &&
                strcmp(((tiny_zsocket *)c)->key, key) == 0))
    c = c->next;
  if (!c) return NULL;
  h->socket = (tiny_zsocket *)c;
  tiny_claims_take(claims_of(h), c, tenant_of(h));
  tiny_zsocket_fail_readers(h->socket);
  tiny_zsocket_want(h->socket);
  return h->socket;
}

/* -- opening --------------------------------------------------------------- */

static tiny_zsocket *zsocket_new(const char *key, const char *fixed) {
  size_t size = strlen(key) + 1, rest = strlen(fixed) + 1;
  tiny_zsocket *z = calloc(1, sizeof *z + size + rest);
  if (!z) return NULL;
  memcpy(z->key, key, size);
  z->fixed = memcpy(z->key + size, fixed, rest);
  z->refs = 1;
  return z;
}

tiny_zsocket *tiny_zsocket_open(const char *key, const char *fixed, tiny_zmq_order *order,
                                tiny_zholder *h, char *why, size_t why_size, int *code) {
  tiny_sockets *s = h->generation->runtime->sockets;
  tiny_zsocket *z = zsocket_new(key, fixed);
  *code = ENOMEM;
  if (!z) return NULL;
  order->ready = on_ready;
  order->owner = z;
  z->table = s->zmq_table;
  z->is_rep = strcmp(order->type, "REP") == 0;
  z->is_router = strcmp(order->type, "ROUTER") == 0;
  z->zmq = z->table->open(s->zmq, order, why, why_size, code);
  if (!z->zmq) {
    free(z);
    return NULL;
  }
  h->socket = z;
  tiny_tenant tenant = tenant_of(h);
  tenant.own = !(order->binds && order->binds[0]) && tiny_tasks_serve_request(h->generation);
  tiny_claims_add(&s->harbour.claims, &z->claim, &kind, tenant);
  return z;
}
