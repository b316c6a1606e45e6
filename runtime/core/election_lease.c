/* SPDX-License-Identifier: MIT
 * election_lease.c -- a lease: asked for, kept alive, given back. */
#include "election_parts.h"
#include "etcd_text.h"

#include <stdio.h>

enum { WAIT_MS = 50 }; /* while the loop thread still acts */

static bool acting(const tiny_election *e) { return atomic_load(&e->parts.lead->acting); }

static void on_revoked(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  if (code != TINY_ETCD_OK && code != TINY_ETCD_NOT_FOUND) {
    tiny_election_failed(e, &e->leasing, message);
    return;
  }
  e->stale[0] = 0;
  tiny_talk_go_on(&e->leasing, 0);
}

static void on_granted(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  const char *id = json_string_value(json_object_get(e->leasing.answer, "ID"));
  uint64_t ttl = tiny_etcd_number(e->leasing.answer, "TTL");
  if (code != TINY_ETCD_OK || !id || ttl == 0) {
    tiny_election_failed(e, &e->leasing, code ? message : "no lease was granted");
    return;
  }
  snprintf(e->lease, sizeof e->lease, "%s", id);
  e->lease_ms = ttl * 1000;
  tiny_talk_go_on(&e->watching, 0);
  tiny_election_take_lease(e);
}

/* Of a lease that has ended the answer is as good as any, but for its TTL. */
static void on_kept_alive(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  const json_t *result = json_object_get(e->leasing.answer, "result");
  if (code != TINY_ETCD_OK && code != TINY_ETCD_NOT_FOUND) {
    tiny_election_failed(e, &e->leasing, message);
  } else if (tiny_etcd_number(result, "TTL") == 0) {
    tiny_election_lose(e, "lease", true);
  } else {
    tiny_election_take_lease(e);
  }
}

/* A loop that is silent must not be led on by a thread that is not. */
static bool withhold(tiny_election *e) {
  bool silent = e->parts.silence_ns(e->parts.data) > e->lease_ms * MS / 2;
  bool now = silent && acting(e);
  if (now && !e->withheld) e->parts.silent(e->parts.data);
  e->withheld = now;
  return now;
}

static json_t *with_id(const char *lease) { return json_pack("{s:s}", "ID", lease); }

static json_t *grant_request(const tiny_election *e) {
  char ttl[24];
  snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)(e->ttl_ms + 999) / 1000);
  return json_pack("{s:s}", "TTL", ttl);
}

/* While the loop thread still acts nothing is done that could make another the active sooner. */
void tiny_election_tend_lease(void *data) {
  tiny_election *e = data;
  tiny_talk *t = &e->leasing;
  if (!*e->lease && acting(e))
    tiny_talk_go_on(t, WAIT_MS);
  else if (*e->stale)
    tiny_talk_ask(t, "/v3/lease/revoke", with_id(e->stale), e->lease_ms / 4, on_revoked);
  else if (!*e->lease)
    tiny_talk_ask(t, "/v3/lease/grant", grant_request(e), e->lease_ms / 4, on_granted);
  else if (withhold(e))
    tiny_talk_go_on(t, e->lease_ms / 12);
  else
    tiny_talk_ask(t, "/v3/lease/keepalive", with_id(e->lease), e->lease_ms / 4, on_kept_alive);
}
