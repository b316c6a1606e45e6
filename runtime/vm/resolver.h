/* SPDX-License-Identifier: MIT
 * resolver.h -- DNS names looked up by helper threads, a few at a time; those who ask for the
 * same name meanwhile share the answer. Loop thread. */
#ifndef TINY_RESOLVER_H
#define TINY_RESOLVER_H

#include "address.h"
#include "tiny.h"

typedef struct tiny_resolver tiny_resolver;

enum { TINY_ENDPOINTS_MAX = 16 };

/* What a name stands for, in the order to try. */
typedef struct tiny_endpoints {
  int count;
  tiny_endpoint each[TINY_ENDPOINTS_MAX];
} tiny_endpoints;

/* Somebody who waits for an answer: embed one, and take it off before it goes. */
typedef struct tiny_asker tiny_asker;
struct tiny_asker {
  tiny_asker *next;
  /* 'rc' is 0 or a negative UV code (UV_EAI_*). */
  void (*answer)(tiny_asker *asker, int rc, const tiny_endpoints *endpoints);
};

tiny_resolver *tiny_resolver_open(tiny *runtime);  /* NULL when out of memory */
void tiny_resolver_close(tiny_resolver *resolver); /* nobody asks any longer */

/* Ask for the name in 'address'. Returns 0, or a negative UV code and then no answer comes. */
int tiny_resolver_ask(tiny_resolver *resolver, const tiny_address *address, tiny_asker *asker);

/* No longer wanted. Harmless after the answer. */
void tiny_resolver_leave(tiny_resolver *resolver, tiny_asker *asker);

#endif
