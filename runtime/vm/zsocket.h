/* SPDX-License-Identifier: MIT
 * zsocket.h -- a ZeroMQ socket as generations have it: claimed by type, endpoints and name. Tasks wait
 * for its messages, or a handler gets them. Loop thread. */
#ifndef TINY_ZSOCKET_H
#define TINY_ZSOCKET_H

#include "claims.h"
#include "generation.h"
#include "topics.h"
#include "waiters.h"
#include "zmq_socket.h"

typedef struct tiny_zsocket tiny_zsocket;

/* Who has a socket: the user of its claim, one for each generation. */
typedef struct tiny_zholder {
  tiny_generation *generation;
  tiny_zsocket *socket;
  int handler; /* registry reference: called with each message; LUA_NOREF: tasks ask for them */
  int pump;    /* registry reference: calls it, in a task */
  unsigned pumps, limit; /* how many there are, and at most may be */
  unsigned batch;        /* messages since the loop turned */
  unsigned refs;         /* the claim's and those of the pumps */
} tiny_zholder;

struct tiny_zsocket {
  tiny_claim claim;
  const tiny_zmq_table *table;
  tiny_zmq_socket *zmq; /* NULL once it is closed */
  unsigned refs;        /* the claim's, those of handles and of pumps */
  tiny_waiters readers, writers;
  bool flows;
  bool is_rep, is_router;
  tiny_zholder *asked; /* whose handler owes a REP's answer; NULL: nobody's */
  tiny_topics topics;
  const char *fixed; /* the options that it was opened with and that cannot change */
  char key[];        /* what it is found by */
};

/* Who would hold it. NULL when out of memory; the holder of an open socket is its claim's to free. */
tiny_zholder *tiny_zholder_new(tiny_generation *generation);

/* The open one that 'key' names and 'holder' may have: it holds it from here on. NULL: none. */
tiny_zsocket *tiny_zsocket_take(const char *key, tiny_zholder *holder);

/* Open one. NULL on failure, with what it was about in 'why' and an errno of ZeroMQ's in 'code';
 * the holder is still the caller's then. The order's ready and owner are set here. */
tiny_zsocket *tiny_zsocket_open(const char *key, const char *fixed, tiny_zmq_order *order,
                                tiny_zholder *holder, char *why, size_t why_size, int *code);

/* One that referred to it does so no longer: a tiny_zsocket *. */
void tiny_zsocket_drop(void *thing);

tiny_zholder *tiny_zsocket_holder(const tiny_zsocket *z);

/* Have ready() told what is waited for now: call it after each change of that. */
void tiny_zsocket_want(tiny_zsocket *z);

/* A message, but none that has more parts than Lua can take: such a one is dropped and logged.
 * Returns 0 or an errno of ZeroMQ's; the parts live until the next call. */
int tiny_zsocket_receive(tiny_zsocket *z, const tiny_zmq_part **parts, int *count);

/* All parts or, with EAGAIN, none. */
int tiny_zsocket_send(tiny_zsocket *z, const tiny_zmq_part *parts, int count);

/* A REP takes no further request before it has answered: give an empty answer for who failed to. */
void tiny_zsocket_answer_nothing(tiny_zsocket *z);

/* Let the task wait for a message; for a chance to send. */
int tiny_zsocket_park_reader(tiny_zsocket *z, tiny_task *task, uint64_t deadline_ns);
int tiny_zsocket_park_writer(tiny_zsocket *z, tiny_task *task, uint64_t deadline_ns);

/* Those that wait for a message get none. */
void tiny_zsocket_fail_readers(tiny_zsocket *z);

/* -- zholder.c: messages to a handler */

/* The two functions on top of L's stack are the handler and what pumps messages into it, 'limit' at
 * a time (REP: 1). Pops them. */
void tiny_zholder_handle(tiny_zholder *holder, lua_State *L, unsigned limit);

/* Whether the handler may have one more. */
bool tiny_zholder_delivers(const tiny_zholder *holder);

/* Hand it what there is. Only from the top of a loop callback. */
void tiny_zholder_deliver(tiny_zholder *holder);

/* next(holder) -> handler, parts...; nothing when there is no message or the pump has to end. */
int tiny_zholder_next(lua_State *L);

void tiny_zholder_drop(tiny_zholder *holder);

#endif
