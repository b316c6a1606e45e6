/* SPDX-License-Identifier: MIT
 * election_parts.h -- what the files of an election share: election.c leads, election_lease.c keeps the lease,
 * election_keys.c campaigns and watches. */
#ifndef TINY_ELECTION_PARTS_H
#define TINY_ELECTION_PARTS_H

#include "election.h"
#include "election_text.h"
#include "talk.h"

static const uint64_t MS = 1000000;

struct tiny_election {
  tiny_election_parts parts;
  tiny_etcd *etcd;
  tiny_election_keys keys;
  uint64_t ttl_ms, lease_ms; /* as configured, as granted */
  char lease[TINY_LEASE];    /* ours; "" while there is none */
  char stale[TINY_LEASE];    /* one that may still live and has to go first */
  uint64_t lease_until_ns;
  bool candidate, active, withheld;
  bool introduced; /* the others know us as we are now */
  bool troubled;   /* and that was told */
  uint64_t token, revision;
  tiny_talk leasing, watching;
  uv_timer_t deadline, guard;
  int open; /* handles */
  void (*resigned)(void *data);
  void *resigned_data;
};

/* election.c: it has been granted, or lives on, since 'leasing' asked for that. */
void tiny_election_take_lease(tiny_election *election);
/* The lease is not ours any more ('gone': etcd says so), or has to be thought so. */
void tiny_election_lose(tiny_election *election, const char *reason, bool gone);
void tiny_election_win(tiny_election *election, uint64_t token);

/* A request that failed is made again later, often enough to come through before the lease runs out. */
void tiny_election_failed(tiny_election *election, tiny_talk *talk, const char *message);
void tiny_election_answered(tiny_election *election);

/* election_lease.c, election_keys.c: what a talk does next. */
void tiny_election_tend_lease(void *election);
void tiny_election_tend_keys(void *election);

#endif
