/* SPDX-License-Identifier: MIT
 * sockets.c -- the parts that sockets are made of, and their way through a change. */
#include "sockets.h"
#include "fetch.h"
#include "handle.h"
#include "http.h"
#include "resolver.h"
#include "runtime.h"
#include "zmq_socket.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Each connection takes a descriptor; the soft limit is for programs that use select(). */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

tiny_sockets *tiny_sockets_open(tiny *rt) {
  tiny_sockets *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->runtime = rt;
  s->harbour.loop = &rt->loop;
  s->harbour.log = rt->log;
  s->harbour.poller = tiny_poller_open(&rt->loop);
  s->resolver = tiny_resolver_open(rt);
  if (rt->exits) raise_limit(); /* the process is ours */
  s->harbour.activation = &rt->activation;
  s->harbour.connections = &rt->state.connections;
  tiny_sockets_hold(s); /* until the first generation serves */
  if (s->harbour.poller && s->resolver) return s;
  tiny_sockets_close(s);
  return NULL;
}

void tiny_sockets_close(tiny_sockets *s) {
  if (!s) return;
  if (s->resolver) tiny_resolver_close(s->resolver);
  tiny_children_close(&s->children);
  tiny_http_close(s->http);
  if (s->fetcher) s->fetch->close(s->fetcher);
  if (s->zmq) s->zmq_table->stop(s->zmq);
  if (s->harbour.poller) tiny_poller_close(s->harbour.poller);
  free(s);
}

void tiny_sockets_hold(tiny_sockets *s) {
  tiny_claims_hold(&s->harbour.claims);
  if (s->http) tiny_http_flow(s->http, false);
}

void tiny_sockets_back(tiny_sockets *s, tiny_generation *candidate, tiny_generation *before) {
  if (before) tiny_handles_back(candidate, before);
  tiny_claims_back(&s->harbour.claims, candidate->number);
}

void tiny_sockets_serve(tiny_sockets *s, tiny_generation *g) {
  tiny_claims_commit(&s->harbour.claims, g->number);
  if (!s->http) return;
  tiny_http_flow(s->http, true);
  tiny_http_events_carry(s->http);
}

void tiny_sockets_stop(tiny_sockets *s) {
  tiny_claims_stop(&s->harbour.claims);
  if (s->http) tiny_http_stop(s->http);
}

bool tiny_sockets_sending(const tiny_sockets *s) {
  return s->http && tiny_http_is_sending(s->http);
}

void tiny_sockets_retire(tiny_sockets *s, tiny_generation *g) {
  tiny_handles_close(g);
  tiny_claims_retire(&s->harbour.claims, g->number);
}
