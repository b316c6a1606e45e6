/* SPDX-License-Identifier: MIT
 * election.h -- one process's part in electing the active of a cluster.
 *
 * Each member has a lease in etcd, which it keeps alive; who creates the key "active" under its
 * lease is the active, and the revision of that is its token: no later one is lower. It leads by its
 * own clock, from when the last answered keep-alive was sent, for nine tenths of what the lease
 * lives: so it has ended before anyone else can begin. All of this runs on the control thread,
 * which goes on when Lua does not. */
#ifndef TINY_ELECTION_H
#define TINY_ELECTION_H

#include "etcd.h"
#include "log.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tiny_election tiny_election;

/* What both threads look at. */
typedef struct tiny_lead {
  _Atomic uint64_t until_ns; /* we lead until then, by tiny_talk_now(); 0: we do not */
  _Atomic bool acting;       /* the loop thread acts as the active's; only it sets this */
} tiny_lead;

/* What it works with; borrowed, and outliving it. The functions are called on the control thread, with
 * 'data', and neither wait nor come back here. */
typedef struct tiny_election_parts {
  uv_loop_t *loop;
  tiny_log *log;
  const tiny_etcd_plugin *plugin;
  tiny_lead *lead;
  const char *name;       /* of the cluster */
  const json_t *identity; /* an object: how the other members know this one */
  void (*elected)(void *data, uint64_t token);
  /* Not the active any more: "timeout", nothing was heard from etcd for too long; "lease", etcd
   * has ended it; "deposed", the key is gone or another's. */
  void (*deposed)(void *data, const char *reason);
  void (*stuck)(
      void *data); /* deposed, and the loop thread does not stop acting: end the process */
  uint64_t (*silence_ns)(void *data); /* how long the loop thread has not come back */
  void (*silent)(void *data);         /* and for that keep-alives are withheld from now on */
  void (*members)(void *data, json_t *members); /* who there is; a new reference */
  void *data;
} tiny_election_parts;

/* Take part, without being a candidate yet. NULL when out of memory. */
tiny_election *tiny_election_open(const tiny_election_parts *parts,
                                  const tiny_etcd_settings *settings, uint64_t ttl_ms);

/* Other settings. The lease is kept; a new ttl counts from the next lease on. */
void tiny_election_settle(tiny_election *election, const tiny_etcd_settings *settings,
                          uint64_t ttl_ms);

/* The loop thread is ready to be the active: be a candidate until elected or told otherwise. */
void tiny_election_stand(tiny_election *election);

/* Our identity has changed: let the others know. */
void tiny_election_introduce(tiny_election *election);

/* Our lease; "" while there is none. */
const char *tiny_election_lease(const tiny_election *election);

/* The loop thread has found its time to be over. Harmless when it was told so. */
void tiny_election_step_down(tiny_election *election);

/* Give the lease back, so that another can be elected at once, and take no part any more. 'done'
 * is called once, perhaps at once, at the latest after a second. */
void tiny_election_resign(tiny_election *election, void (*done)(void *data), void *data);

/* Frees in the close callbacks of its handles. */
void tiny_election_close(tiny_election *election);

#endif
