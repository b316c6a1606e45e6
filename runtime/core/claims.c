/* SPDX-License-Identifier: MIT
 * claims.c -- who holds what outlives a generation. */
#include "claims.h"

#include <stddef.h>

void tiny_claims_add(tiny_claims *claims, tiny_claim *claim, const tiny_claim_kind *kind,
                     tiny_tenant tenant) {
  tiny_claim **at = &claims->first;
  while (*at) at = &(*at)->next;
  *claim = (tiny_claim){.kind = kind, .tenant = tenant};
  *at = claim;
  if (!claims->held) kind->flow(claim, true);
}

bool tiny_claim_free_for(const tiny_claim *claim, uint64_t generation) {
  if (claim->tenant.own) return false;
  return claim->tenant.released || claim->came_back || claim->tenant.generation != generation;
}

/* A former tenant keeps its user until the change is through: it may have to go back to it. */
void tiny_claims_take(tiny_claims *claims, tiny_claim *claim, tiny_tenant tenant) {
  if (claims->held && claim->tenant.generation != tenant.generation && !claim->former.generation)
    claim->former = claim->tenant;
  else
    claim->kind->forget(claim->tenant.user);
  claim->tenant = tenant;
  claim->came_back = false;
}

static void forget_former(tiny_claim *claim) {
  if (claim->former.generation) claim->kind->forget(claim->former.user);
  claim->former = (tiny_tenant){0};
}

static void end(tiny_claims *claims, tiny_claim *claim) {
  tiny_claim **at = &claims->first;
  while (*at != claim) at = &(*at)->next;
  *at = claim->next;
  forget_former(claim);
  claim->kind->forget(claim->tenant.user);
  claim->kind->close(claim);
}

void tiny_claims_release(tiny_claims *claims, tiny_claim *claim) {
  if (claims->held)
    claim->tenant.released = true;
  else
    end(claims, claim);
}

void tiny_claims_hold(tiny_claims *claims) {
  claims->held = true;
  for (tiny_claim *c = claims->first; c; c = c->next) c->kind->flow(c, false);
}

static void go_back(tiny_claim *c) {
  c->kind->forget(c->tenant.user);
  c->tenant = c->former;
  c->former = (tiny_tenant){0};
}

void tiny_claims_back(tiny_claims *claims, uint64_t generation) {
  for (tiny_claim *c = claims->first, *next; c; c = next) {
    next = c->next;
    bool taken = c->tenant.generation == generation;
    c->came_back = true;
    if (taken && c->former.generation)
      go_back(c);
    else if (taken)
      end(claims, c);
  }
}

static bool stays(const tiny_claim *c, uint64_t generation) {
  return !c->tenant.released && (c->tenant.generation == generation || c->kind->keeps);
}

void tiny_claims_commit(tiny_claims *claims, uint64_t generation) {
  claims->held = false;
  for (tiny_claim *c = claims->first, *next; c; c = next) {
    next = c->next;
    c->came_back = false;
    forget_former(c);
    if (!stays(c, generation))
      end(claims, c);
    else if (c->tenant.generation == generation)
      c->kind->flow(c, true);
  }
}

void tiny_claims_stop(tiny_claims *claims) {
  tiny_claims_hold(claims);
  for (tiny_claim *c = claims->first, *next; c; c = next) {
    next = c->next;
    if (!c->kind->keeps) end(claims, c);
  }
}

void tiny_claims_retire(tiny_claims *claims, uint64_t generation) {
  for (tiny_claim *c = claims->first, *next; c; c = next) {
    next = c->next;
    if (c->tenant.generation == generation) end(claims, c);
  }
}
