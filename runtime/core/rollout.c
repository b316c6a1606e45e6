/* SPDX-License-Identifier: MIT
 * rollout.c -- whose turn it is, the lock, and what is left behind when it went wrong. */
#include "rollout.h"

#include "election_text.h"
#include "etcd_text.h"
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 2000, AGAIN_MS = 1000, VERSION = 48 };

struct tiny_rollout {
  tiny_rollout_parts parts;
  tiny_etcd *etcd;
  tiny_talk talk;
  json_t *members;
  char *lock;            /* the key, in base64 */
  char found[VERSION];   /* in etcd; "" while that is not known */
  char applied[VERSION]; /* in force */
  char tried[VERSION];   /* by our last reload */
  char refused[VERSION]; /* by us, last; "" when nothing was */
  char told[VERSION];    /* that it was refused by another */
  bool reloading;
  char lease[TINY_LEASE]; /* under which we asked for the lock; */
  uint64_t held;          /* and the revision at which we took it, 0: we do not */
  char why[512];          /* it was refused, by whom */
};

static void copy(char version[VERSION], const char *from) {
  snprintf(version, VERSION, "%s", from);
}

static bool same(const char *a, const char *b) { return strcmp(a, b) == 0; }

static json_t *text_or_null(const char *text) { return *text ? json_string(text) : json_null(); }

static void show(tiny_rollout *r) {
  r->parts.show(r->parts.data,
                json_pack("{s:o,s:o,s:o}", "in_etcd", text_or_null(r->found), "in_force",
                          text_or_null(r->applied), "refused", text_or_null(r->why)));
}

/* What is being asked goes to its end first. */
static void tend_soon(tiny_rollout *r) {
  if (!r->talk.call) tiny_talk_go_on(&r->talk, 0);
}

/* -- whose turn ------------------------------------------------------------- */

/* Members that share no configuration have no version; one that lags behind is waited for. */
static bool lags(const tiny_rollout *r, const json_t *member) {
  const char *version = tiny_etcd_text(member, "conf");
  return *version && !same(version, r->found);
}

/* The same for all who see the same: the first standby in the order of their leases, the active last. */
static const json_t *next_member(const tiny_rollout *r) {
  const json_t *member, *active = NULL;
  size_t i;
  json_array_foreach(r->members, i, member) {
    if (!lags(r, member)) continue;
    if (!same(tiny_etcd_text(member, "role"), "active")) return member;
    active = member;
  }
  return active;
}

static const json_t *refuser(const tiny_rollout *r) {
  const json_t *member;
  size_t i;
  json_array_foreach(r->members, i, member) {
    if (same(tiny_etcd_text(member, "refused"), r->found)) return member;
  }
  return NULL;
}

static bool our_turn(const tiny_rollout *r) {
  const json_t *next = refuser(r) ? NULL : next_member(r);
  return next && tiny_election_same(next, r->parts.identity);
}

/* Once for each version. */
static void note_refusal(tiny_rollout *r, const json_t *by) {
  if (same(r->told, r->found)) return;
  copy(r->told, r->found);
  snprintf(r->why, sizeof r->why, "by %s on %s (%lld): %s", tiny_etcd_text(by, "name"),
           tiny_etcd_text(by, "host"), (long long)json_integer_value(json_object_get(by, "pid")),
           tiny_etcd_text(by, "why"));
  tiny_warn(r->parts.log, "shared configuration %s was refused %s", r->found, r->why);
  show(r);
}

/* -- the lock -------------------------------------------------------------- */

static void reload(tiny_rollout *r) {
  copy(r->tried, r->found);
  r->reloading = true;
  tiny_info(r->parts.log, "shared configuration %s: reloading", r->found);
  r->parts.reload(r->parts.data);
}

static void hold(tiny_rollout *r, uint64_t revision) {
  r->held = revision;
  r->talk.pause_ms = 0;
  reload(r);
}

/* Who has the lock may be us: an answer was lost. */
static void on_campaigned(void *owner, int code, const char *message) {
  tiny_rollout *r = owner;
  (void)message; /* the election tells of the same trouble */
  const json_t *answer = r->talk.answer, *lock = tiny_etcd_found(answer, 0);
  if (code == TINY_ETCD_OK && json_is_true(json_object_get(answer, "succeeded")))
    hold(r, tiny_etcd_number(json_object_get(answer, "header"), "revision"));
  else if (lock && same(tiny_etcd_text(lock, "lease"), r->lease))
    hold(r, tiny_etcd_number(lock, "create_revision"));
  else
    tiny_talk_pause(&r->talk, AGAIN_MS);
}

static void campaign(tiny_rollout *r) {
  snprintf(r->lease, sizeof r->lease, "%s", r->parts.lease(r->parts.data));
  json_t *put = tiny_etcd_put(r->lock, json_copy((json_t *)(uintptr_t)r->parts.identity), r->lease);
  tiny_talk_ask(&r->talk, "/v3/kv/txn",
                json_pack("{s:[o],s:[{s:o}],s:[{s:{s:s}}]}", "compare",
                          tiny_etcd_compare(r->lock, "CREATE", "create_revision", 0), "success",
                          "request_put", put, "failure", "request_range", "key", r->lock),
                TIMEOUT_MS, on_campaigned);
}

static void on_released(void *owner, int code, const char *message) {
  tiny_rollout *r = owner;
  (void)message;
  if (code == TINY_ETCD_OK || code == TINY_ETCD_NOT_FOUND) {
    r->held = 0;
    r->talk.pause_ms = 0;
    tend_soon(r);
  } else {
    tiny_talk_pause(&r->talk, AGAIN_MS);
  }
}

/* One that has gone with its lease may be another's by now. */
static void release(tiny_rollout *r) {
  tiny_talk_ask(&r->talk, "/v3/kv/txn",
                json_pack("{s:[o],s:[{s:{s:s}}]}", "compare",
                          tiny_etcd_compare(r->lock, "CREATE", "create_revision", r->held),
                          "success", "request_delete_range", "key", r->lock),
                TIMEOUT_MS, on_released);
}

static void tend(void *owner) {
  tiny_rollout *r = owner;
  bool done = same(r->applied, r->found) || same(r->refused, r->found);
  if (!*r->parts.lease(r->parts.data) || !*r->found || r->reloading) return;
  if (!done && refuser(r)) note_refusal(r, refuser(r));
  if (r->held)
    release(r);
  else if (!done && !*r->applied)
    reload(r);
  else if (!done && our_turn(r))
    campaign(r);
}

/* -- from outside ---------------------------------------------------------- */

void tiny_rollout_found(tiny_rollout *r, const char *version) {
  copy(r->found, version);
  r->told[0] = r->why[0] = 0;
  show(r);
  tend_soon(r);
}

void tiny_rollout_applied(tiny_rollout *r, const char *version) {
  copy(r->applied, version);
  if (same(r->applied, r->found)) r->why[0] = 0;
  show(r);
  tend_soon(r);
}

void tiny_rollout_members(tiny_rollout *r, const json_t *members) {
  json_decref(r->members);
  r->members = json_incref((json_t *)(uintptr_t)members);
  tend_soon(r);
}

/* Who has lost its lease meanwhile may have failed for that. */
void tiny_rollout_reloaded(tiny_rollout *r, bool ok, const char *why) {
  bool ours = !r->held || same(r->lease, r->parts.lease(r->parts.data));
  r->reloading = false;
  if (!ok && ours) {
    copy(r->refused, r->tried);
    snprintf(r->why, sizeof r->why, "%s", why);
    r->parts.refused(r->parts.data, r->refused, r->why);
    show(r);
  }
  tend_soon(r);
}

static void free_rollout(void *owner) {
  tiny_rollout *r = owner;
  json_decref(r->members);
  free(r->lock);
  free(r);
}

tiny_rollout *tiny_rollout_open(const tiny_rollout_parts *parts,
                                const tiny_etcd_settings *settings) {
  tiny_rollout *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->parts = *parts;
  r->lock = tiny_etcd_key("/tiny/%s/rollout/lock", parts->name);
  if (r->lock) r->etcd = parts->plugin->open(parts->loop, settings);
  if (!r->etcd) {
    free_rollout(r);
    return NULL;
  }
  tiny_talk_open(&r->talk, parts->loop, parts->plugin, &r->etcd, r, tend);
  return r;
}

void tiny_rollout_settle(tiny_rollout *r, const tiny_etcd_settings *settings) {
  tiny_etcd *etcd = r->parts.plugin->open(r->parts.loop, settings);
  if (!etcd) return;
  tiny_talk_hush(&r->talk);
  r->parts.plugin->close(r->etcd);
  r->etcd = etcd;
  tend_soon(r);
}

void tiny_rollout_close(tiny_rollout *r) {
  tiny_talk_close(&r->talk, free_rollout);
  r->parts.plugin->close(r->etcd);
}
