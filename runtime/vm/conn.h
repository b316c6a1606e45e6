/* SPDX-License-Identifier: MIT
 * conn.h -- a stream as tasks use it: who waits to read or to write, and whose it is. Handles of
 * two generations may refer to one: the newer one reads, both may write. Loop thread. */
#ifndef TINY_CONN_H
#define TINY_CONN_H

#include "address.h"
#include "handle.h"
#include "port.h"
#include "stream.h"
#include "waiters.h"

typedef struct tiny_conn {
  tiny_stream stream; /* first: one is the other */
  tiny *runtime;
  unsigned refs;
  uint64_t owner;       /* number of the generation that may read */
  tiny_port *port;      /* that it came through, or NULL */
  tiny_task *reader;    /* parked, or NULL */
  tiny_task *writer;    /* parked with a write half done, or NULL */
  tiny_waiters writers; /* parked until that is through */
  tiny_endpoint remote;
} tiny_conn;

extern const tiny_handle_kind tiny_conn_kind;

/* Own 'fd' for that generation; 'port' is where it came through, or NULL. Starts with one reference. NULL
 * when memory or descriptors are short, the descriptor closed. */
tiny_conn *tiny_conn_new(tiny_generation *generation, int fd, const tiny_endpoint *remote,
                         tiny_port *port);
void tiny_conn_drop(tiny_conn *conn);

/* Close it, whoever waits. Harmless to repeat. */
void tiny_conn_close(tiny_conn *conn);

#endif
