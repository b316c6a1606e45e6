/* SPDX-License-Identifier: MIT
 * port.h -- listening stream sockets: one claim for each endpoint, whoever serves on it. */
#ifndef TINY_PORT_H
#define TINY_PORT_H

#include "activation.h"
#include "address.h"
#include "claims.h"
#include "log.h"
#include "poller.h"

typedef struct tiny_port tiny_port;

/* Who serves on a port: the user of its claim. Embed one; each port holds a reference. */
typedef struct tiny_acceptor tiny_acceptor;
struct tiny_acceptor {
  unsigned refs;
  unsigned limit; /* connections at a time, of each port */
  /* A connection came: owns 'fd', which is non-blocking and closed on exec. */
  void (*accept)(tiny_acceptor *acceptor, tiny_port *port, int fd, const tiny_endpoint *peer);
  void (*free)(tiny_acceptor *acceptor);
  void *context;        /* accept's own */
  struct tiny_tls *tls; /* what its connections speak, one reference; NULL: plain */
};

void tiny_acceptor_drop(tiny_acceptor *acceptor);

/* What ports need of the runtime around them. */
typedef struct tiny_harbour {
  uv_loop_t *loop;
  tiny_log *log; /* borrowed */
  tiny_poller *poller;
  tiny_claims claims;
  tiny_activation *activation;   /* borrowed */
  _Atomic uint64_t *connections; /* borrowed: how many there are of all kinds */
  uint64_t told_ms;              /* by uv_now(): that there are no descriptors for more; 0: never */
} tiny_harbour;

/* Listen on 'endpoint' for that generation: the port that is open there, handed over, or a new
 * one. 'acceptor' gets a reference. Returns NULL with a negative UV code in 'rc'. The port is
 * its claim's; it lives until that is closed. */
tiny_port *tiny_port_listen(tiny_harbour *harbour, const tiny_endpoint *endpoint, int backlog,
                            uint64_t generation, tiny_acceptor *acceptor, int *rc);

/* The same on the next descriptor that was passed under 'name'; UV_ENOENT when there is none
 * left. Call it until then: there may be several. */
tiny_port *tiny_port_adopt(tiny_harbour *harbour, const char *name, int nth, uint64_t generation,
                           tiny_acceptor *acceptor, int *rc);

/* That acceptor lets go of all of its ports. */
void tiny_ports_release(tiny_harbour *harbour, const tiny_acceptor *acceptor);

/* Where it is bound. */
const tiny_endpoint *tiny_port_endpoint(const tiny_port *port);

/* A connection that came through it: holds a reference, and counts against the limit until it
 * is left. */
void tiny_port_join(tiny_port *port);
void tiny_port_leave(tiny_port *port);

/* Who serves on the port now; NULL when it is closed. */
tiny_acceptor *tiny_port_acceptor(const tiny_port *port);

#endif
