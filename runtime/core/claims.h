/* SPDX-License-Identifier: MIT
 * claims.h -- what outlives a generation and is found again by the next one: listening
 * sockets, bound UDP sockets, ZeroMQ sockets. Loop thread only.
 *
 * While a generation takes another's place nothing is delivered (held). The new one takes
 * what it asks for by its kind and key; then either the change is committed, and what it
 * has not taken goes, or rolled back, and the old one has what it had. */
#ifndef TINY_CLAIMS_H
#define TINY_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tiny_claim tiny_claim;

/* What one kind of claim does when its fate turns; no other claim may change meanwhile. */
typedef struct tiny_claim_kind {
  void (*flow)(tiny_claim *claim, bool flows); /* start delivering to claim->tenant.user, or stop */
  void (*close)(tiny_claim *claim);            /* it is out of the list: close it and free it */
  void (*forget)(void *user);                  /* this user holds it no longer */
  bool keeps;                                  /* unclaimed ones live as long as their generation */
} tiny_claim_kind;

/* Who holds it. */
typedef struct tiny_tenant {
  uint64_t generation; /* its number; 0: nobody */
  void *user;          /* the kind's own: whom to deliver to */
  bool released;       /* it let go during a change: the claim ends unless it is taken again */
  bool own;            /* of one request of that generation: nobody takes it over */
} tiny_tenant;

/* Embed one in what is claimed. */
struct tiny_claim {
  const tiny_claim_kind *kind;
  tiny_claim *next;
  tiny_tenant tenant;
  tiny_tenant former; /* while a change is under way: whose it was */
  bool came_back;     /* its tenant was rolled back to and may claim it again */
};

typedef struct tiny_claims {
  tiny_claim *first;
  bool held; /* nothing is delivered */
} tiny_claims;

/* List a new one, held by 'tenant', behind the others: who looks for one of several alike takes the
 * oldest, so that generations which open them in the same order have the same ones. Delivers at once
 * unless all is held. */
void tiny_claims_add(tiny_claims *claims, tiny_claim *claim, const tiny_claim_kind *kind,
                     tiny_tenant tenant);

/* Whether that generation may take it: it is another's, was let go or came back. */
bool tiny_claim_free_for(const tiny_claim *claim, uint64_t generation);

/* Hand it over to 'tenant', or give a tenant that has it already another user. */
void tiny_claims_take(tiny_claims *claims, tiny_claim *claim, tiny_tenant tenant);

/* Its tenant lets it go: it closes now, or, while a change is under way, at its end. */
void tiny_claims_release(tiny_claims *claims, tiny_claim *claim);

/* A change begins: deliver nothing. */
void tiny_claims_hold(tiny_claims *claims);

/* The change failed: what 'generation' took goes back, what it opened closes. Stays held. */
void tiny_claims_back(tiny_claims *claims, uint64_t generation);

/* The change is through and 'generation' serves: what it has not taken or has let go goes,
 * the rest flows. */
void tiny_claims_commit(tiny_claims *claims, uint64_t generation);

/* No generation follows: what does not keep ends at once, the rest is held. */
void tiny_claims_stop(tiny_claims *claims);

/* That generation is no more: close what is still its own. */
void tiny_claims_retire(tiny_claims *claims, uint64_t generation);

#endif
