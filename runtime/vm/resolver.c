/* SPDX-License-Identifier: MIT
 * resolver.c -- getaddrinfo() on helper threads: the C library knows hosts files, search
 * domains and name services, and blocks. */
#include "resolver.h"
#include "runtime.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16 }; /* a dead name server keeps each busy for half a minute */

typedef struct lookup {
  tiny_job job;
  tiny_resolver *resolver;
  struct lookup *next;
  tiny_asker *askers;
  bool begun;
  char host[256], port[8];
  int rc;
  tiny_endpoints endpoints;
} lookup;

struct tiny_resolver {
  tiny *runtime;
  lookup *lookups;
  int threads;
  bool closed;
};

/* -- on a helper thread ---------------------------------------------------- */

static int uv_code(int code) {
  switch (code) {
  case 0: return 0;
  case EAI_AGAIN: return UV_EAI_AGAIN;
  case EAI_MEMORY: return UV_EAI_MEMORY;
  case EAI_NONAME: return UV_EAI_NONAME;
  case EAI_NODATA: return UV_EAI_NODATA;
  default: return UV_EAI_FAIL;
  }
}

static void look_up(tiny_job *job) {
  lookup *l = (lookup *)job;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *list = NULL;
  l->rc = uv_code(getaddrinfo(l->host, l->port, &hints, &list));
  for (struct addrinfo *i = list; i && l->endpoints.count < TINY_ENDPOINTS_MAX; i = i->ai_next) {
    tiny_endpoint *e = &l->endpoints.each[l->endpoints.count++];
    e->size = i->ai_addrlen;
    memcpy(&e->any, i->ai_addr, i->ai_addrlen);
  }
  if (list) freeaddrinfo(list);
}

/* -- on the loop thread ---------------------------------------------------- */

static void unlist(tiny_resolver *r, lookup *l) {
  lookup **at = &r->lookups;
  while (*at != l) at = &(*at)->next;
  *at = l->next;
}

static void answer(tiny_resolver *r, lookup *l) {
  unlist(r, l);
  while (l->askers) {
    tiny_asker *asker = l->askers;
    l->askers = asker->next;
    asker->answer(asker, l->rc, &l->endpoints);
  }
  free(l);
}

static void begin(tiny_resolver *r) {
  for (lookup *l = r->lookups; l && r->threads < THREADS; l = l->next) {
    if (l->begun || tiny_job_start(r->runtime, &l->job) != 0) continue;
    l->begun = true;
    r->threads++;
  }
}

/* Those for whom no thread could be had are tried again, as long as one comes back for it. */
static void on_looked_up(tiny_job *job) {
  lookup *l = (lookup *)job;
  tiny_resolver *r = l->resolver;
  r->threads--;
  answer(r, l);
  if (r->closed)
    atomic_fetch_sub(&r->runtime->state.threads_lost, 1);
  else
    begin(r);
  while (r->threads == 0 && r->lookups) {
    r->lookups->rc = UV_EAI_MEMORY;
    answer(r, r->lookups);
  }
  if (r->closed && r->threads == 0) free(r);
}

static lookup *find(tiny_resolver *r, const char *host, const char *port) {
  lookup *l = r->lookups;
  while (l && (strcmp(l->host, host) != 0 || strcmp(l->port, port) != 0)) l = l->next;
  return l;
}

static lookup *add(tiny_resolver *r, const char *host, const char *port) {
  lookup *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->job = (tiny_job){.work = look_up, .done = on_looked_up};
  l->resolver = r;
  snprintf(l->host, sizeof l->host, "%s", host);
  snprintf(l->port, sizeof l->port, "%s", port);
  lookup **at = &r->lookups;
  while (*at) at = &(*at)->next;
  *at = l;
  return l;
}

int tiny_resolver_ask(tiny_resolver *r, const tiny_address *address, tiny_asker *asker) {
  char port[8];
  snprintf(port, sizeof port, "%d", address->port);
  lookup *l = find(r, address->host, port);
  if (!l) l = add(r, address->host, port);
  if (!l) return UV_ENOMEM;
  begin(r);
  if (r->threads == 0) { /* so it is the only one */
    unlist(r, l);
    free(l);
    return UV_EAI_MEMORY;
  }
  asker->next = l->askers;
  l->askers = asker;
  return 0;
}

void tiny_resolver_leave(tiny_resolver *r, tiny_asker *asker) {
  for (lookup *l = r->lookups; l; l = l->next)
    for (tiny_asker **at = &l->askers; *at; at = &(*at)->next)
      if (*at == asker) {
        *at = asker->next;
        return;
      }
}

tiny_resolver *tiny_resolver_open(tiny *rt) {
  tiny_resolver *r = calloc(1, sizeof *r);
  if (r) r->runtime = rt;
  return r;
}

/* A lookup cannot be stopped: its thread is left behind. */
void tiny_resolver_close(tiny_resolver *r) {
  r->closed = true;
  atomic_fetch_add(&r->runtime->state.threads_lost, (uint64_t)r->threads);
  if (r->threads == 0) free(r);
}
