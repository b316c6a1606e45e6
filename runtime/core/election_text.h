/* SPDX-License-Identifier: MIT
 * election_text.h -- what an election says to etcd, and what of the answers it understands. */
#ifndef TINY_ELECTION_TEXT_H
#define TINY_ELECTION_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TINY_LEASE = 24 }; /* room for a lease's number as text */

/* The keys of one cluster, in base64. */
typedef struct tiny_election_keys {
  char *active;      /* /tiny/NAME/election/active */
  char *first, *end; /* all of /tiny/NAME/election/ */
  char *members;     /* /tiny/NAME/election/members/, not in base64: a lease follows */
} tiny_election_keys;

/* Returns 0, or -1 when out of memory. */
int tiny_election_keys_make(tiny_election_keys *keys, const char *name);
void tiny_election_keys_free(tiny_election_keys *keys);

/* Requests; each a new reference. */
json_t *tiny_election_campaign(const tiny_election_keys *keys, const char *lease,
                               const json_t *identity);
json_t *tiny_election_look(const tiny_election_keys *keys);
json_t *tiny_election_join(const tiny_election_keys *keys, const char *lease,
                           const json_t *identity);
json_t *tiny_election_watch(const tiny_election_keys *keys, uint64_t revision);

/* What a campaign or a look has found. */
typedef struct tiny_election_view {
  uint64_t revision;       /* of the whole store then */
  bool won;                /* the campaign was */
  char active[TINY_LEASE]; /* the active's lease, "" when there is none */
  uint64_t token;          /* and the revision that made it the active */
  json_t *members;         /* {identity..., "role": "active" or "standby"} each */
  bool joined;             /* 'lease' is among them */
} tiny_election_view;

void tiny_election_read(const tiny_election_keys *keys, const json_t *answer, const char *lease,
                        tiny_election_view *view);

/* Whether two identities are of the same process. */
bool tiny_election_same(const json_t *one, const json_t *other);

#endif
