/* SPDX-License-Identifier: MIT
 * sockets.h -- what a runtime owns of the outside world, whatever generation uses it, and what
 * happens to it when generations come and go. Loop thread. */
#ifndef TINY_SOCKETS_H
#define TINY_SOCKETS_H

#include "child.h"
#include "port.h"
#include "tiny.h"

typedef struct tiny_generation tiny_generation;

typedef struct tiny_sockets {
  tiny *runtime;
  tiny_harbour harbour;
  struct tiny_resolver *resolver;
  struct tiny_http *http;               /* NULL until it is needed, as are the following */
  const struct tiny_fetch_table *fetch; /* the plugin's functions */
  struct tiny_fetcher *fetcher;
  const struct tiny_zmq_table *zmq_table;
  struct tiny_zmq *zmq;
  tiny_child *children; /* processes that have not ended */
} tiny_sockets;

/* Returns NULL when memory or descriptors could not be had. */
tiny_sockets *tiny_sockets_open(tiny *runtime);

/* No generation is left. The handles close with the loop's next turns. NULL is allowed. */
void tiny_sockets_close(tiny_sockets *sockets);

/* A change of generation begins: what is new waits. */
void tiny_sockets_hold(tiny_sockets *sockets);

/* The candidate failed: 'before' (NULL when there is none) has what it had, and still waits. */
void tiny_sockets_back(tiny_sockets *sockets, tiny_generation *candidate, tiny_generation *before);

/* That generation serves from here on. */
void tiny_sockets_serve(tiny_sockets *sockets, tiny_generation *generation);

/* The server closes: nothing new comes in any more. */
void tiny_sockets_stop(tiny_sockets *sockets);

/* Whether answers are still on their way out. */
bool tiny_sockets_sending(const tiny_sockets *sockets);

/* That generation never runs again: close what it holds. */
void tiny_sockets_retire(tiny_sockets *sockets, tiny_generation *generation);

#endif
