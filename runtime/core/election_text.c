/* SPDX-License-Identifier: MIT
 * election_text.c -- JSON for etcd, and from it. */
#include "election_text.h"

#include "etcd_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tiny_election_keys_make(tiny_election_keys *keys, const char *name) {
  char first[96];
  snprintf(first, sizeof first, "/tiny/%.64s/election/", name);
  *keys = (tiny_election_keys){
      .active = tiny_etcd_key("%sactive", first),
      .first = tiny_etcd_key("%s", first),
      .end = tiny_etcd_end(first),
  };
  if (asprintf(&keys->members, "%smembers/", first) < 0) keys->members = NULL;
  if (keys->active && keys->first && keys->end && keys->members) return 0;
  tiny_election_keys_free(keys);
  return -1;
}

void tiny_election_keys_free(tiny_election_keys *keys) {
  free(keys->active);
  free(keys->first);
  free(keys->end);
  free(keys->members);
  *keys = (tiny_election_keys){NULL, NULL, NULL, NULL};
}

/* -- requests -------------------------------------------------------------- */

static json_t *put(const char *key, const char *lease, const json_t *identity) {
  return tiny_etcd_put(key, json_copy((json_t *)(uintptr_t)identity), lease);
}

json_t *tiny_election_look(const tiny_election_keys *keys) {
  return tiny_etcd_range(keys->first, keys->end);
}

/* If nobody is the active, we are; otherwise say who. */
json_t *tiny_election_campaign(const tiny_election_keys *keys, const char *lease,
                               const json_t *identity) {
  return json_pack("{s:[o],s:[{s:o}],s:[{s:o}]}", "compare",
                   tiny_etcd_compare(keys->active, "CREATE", "create_revision", 0), "success",
                   "request_put", put(keys->active, lease, identity), "failure", "request_range",
                   tiny_election_look(keys));
}

json_t *tiny_election_join(const tiny_election_keys *keys, const char *lease,
                           const json_t *identity) {
  char *key = tiny_etcd_key("%s%s", keys->members, lease);
  json_t *request = put(key ? key : "", lease, identity);
  free(key);
  return request;
}

json_t *tiny_election_watch(const tiny_election_keys *keys, uint64_t revision) {
  return tiny_etcd_watch(keys->first, keys->end, revision);
}

/* -- answers --------------------------------------------------------------- */

/* What others have written there may be anything. */
static json_t *identity_of(const json_t *kv) {
  size_t size;
  char *bytes = tiny_etcd_bytes(json_object_get(kv, "value"), &size);
  json_t *identity = bytes ? json_loadb(bytes, size, 0, NULL) : NULL;
  free(bytes);
  if (json_is_object(identity)) return identity;
  json_decref(identity);
  return json_object();
}

static void read_active(const json_t *kv, tiny_election_view *view) {
  snprintf(view->active, sizeof view->active, "%s", tiny_etcd_text(kv, "lease"));
  view->token = tiny_etcd_number(kv, "create_revision");
}

static void add_member(const json_t *kv, const char *lease, tiny_election_view *view) {
  json_t *member = identity_of(kv);
  bool active = *view->active && strcmp(view->active, tiny_etcd_text(kv, "lease")) == 0;
  json_object_set_new(member, "role", json_string(active ? "active" : "standby"));
  json_array_append_new(view->members, member);
  if (*lease && strcmp(lease, tiny_etcd_text(kv, "lease")) == 0) view->joined = true;
}

/* "active" sorts before "members/", so that who it is is known by then. */
static void read_keys(const tiny_election_keys *keys, const json_t *kvs, const char *lease,
                      tiny_election_view *view) {
  size_t i;
  const json_t *kv;
  json_array_foreach(kvs, i, kv) {
    if (strcmp(tiny_etcd_text(kv, "key"), keys->active) == 0)
      read_active(kv, view);
    else
      add_member(kv, lease, view);
  }
}

void tiny_election_read(const tiny_election_keys *keys, const json_t *answer, const char *lease,
                        tiny_election_view *view) {
  const json_t *responses = json_object_get(answer, "responses"), *range = answer;
  *view = (tiny_election_view){.members = json_array()};
  view->revision = tiny_etcd_number(json_object_get(answer, "header"), "revision");
  view->won = json_is_true(json_object_get(answer, "succeeded"));
  if (responses) range = json_object_get(json_array_get(responses, 0), "response_range");
  read_keys(keys, json_object_get(range, "kvs"), lease, view);
}

bool tiny_election_same(const json_t *one, const json_t *other) {
  static const char *const fields[] = {"name", "host", "pid"};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (!json_equal(json_object_get(one, fields[i]), json_object_get(other, fields[i])))
      return false;
  return true;
}
