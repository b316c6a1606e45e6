/* SPDX-License-Identifier: MIT
 * election_text.c -- JSON for etcd, and from it. */
#include "election_text.h"

#include "base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *encoded(const char *text) {
  size_t size = strlen(text);
  char *result = malloc(TINY_BASE64_ROOM(size));
  if (result) tiny_base64_encode(text, size, result);
  return result;
}

/* "/" is followed by "0": that is where the keys below a folder end. */
int tiny_election_keys_make(tiny_election_keys *keys, const char *name) {
  char first[96], end[96], active[128], members[128];
  snprintf(first, sizeof first, "/tiny/%.64s/election/", name);
  snprintf(end, sizeof end, "/tiny/%.64s/election0", name);
  snprintf(active, sizeof active, "%sactive", first);
  snprintf(members, sizeof members, "%smembers/", first);
  *keys = (tiny_election_keys){encoded(active), encoded(first), encoded(end), strdup(members)};
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
  char *text = json_dumps(identity, JSON_COMPACT | JSON_SORT_KEYS);
  char *value = text ? encoded(text) : NULL;
  json_t *request =
      json_pack("{s:s,s:s,s:s}", "key", key, "value", value ? value : "", "lease", lease);
  free(value);
  free(text);
  return request;
}

json_t *tiny_election_look(const tiny_election_keys *keys) {
  return json_pack("{s:s,s:s}", "key", keys->first, "range_end", keys->end);
}

/* If nobody is the active, we are; otherwise say who. */
json_t *tiny_election_campaign(const tiny_election_keys *keys, const char *lease,
                               const json_t *identity) {
  return json_pack("{s:[{s:s,s:s,s:s,s:s}],s:[{s:o}],s:[{s:o}]}", "compare", "key", keys->active,
                   "target", "CREATE", "result", "EQUAL", "create_revision", "0", "success",
                   "request_put", put(keys->active, lease, identity), "failure", "request_range",
                   tiny_election_look(keys));
}

json_t *tiny_election_join(const tiny_election_keys *keys, const char *lease,
                           const json_t *identity) {
  char plain[160];
  snprintf(plain, sizeof plain, "%s%s", keys->members, lease);
  char *key = encoded(plain);
  json_t *request = put(key ? key : "", lease, identity);
  free(key);
  return request;
}

json_t *tiny_election_watch(const tiny_election_keys *keys, uint64_t revision) {
  char from[24];
  snprintf(from, sizeof from, "%llu", (unsigned long long)revision);
  return json_pack("{s:{s:s,s:s,s:s}}", "create_request", "key", keys->first, "range_end",
                   keys->end, "start_revision", from);
}

/* -- answers --------------------------------------------------------------- */

uint64_t tiny_election_number(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? strtoull(text, NULL, 10) : 0;
}

/* What others have written there may be anything. */
static json_t *identity_of(const json_t *kv) {
  const json_t *text = json_object_get(kv, "value");
  size_t size;
  char *bytes = malloc(json_string_length(text) + 1);
  json_t *identity = NULL;
  if (bytes &&
      tiny_base64_decode(json_string_value(text), json_string_length(text), bytes, &size) == 0)
    identity = json_loadb(bytes, size, 0, NULL);
  free(bytes);
  if (json_is_object(identity)) return identity;
  json_decref(identity);
  return json_object();
}

static const char *text_of(const json_t *kv, const char *key) {
  const char *text = json_string_value(json_object_get(kv, key));
  return text ? text : "";
}

static void read_active(const json_t *kv, tiny_election_view *view) {
  snprintf(view->active, sizeof view->active, "%s", text_of(kv, "lease"));
  view->token = tiny_election_number(kv, "create_revision");
}

static void add_member(const json_t *kv, const char *lease, tiny_election_view *view) {
  json_t *member = identity_of(kv);
  bool active = *view->active && strcmp(view->active, text_of(kv, "lease")) == 0;
  json_object_set_new(member, "role", json_string(active ? "active" : "standby"));
  json_array_append_new(view->members, member);
  if (*lease && strcmp(lease, text_of(kv, "lease")) == 0) view->joined = true;
}

/* "active" sorts before "members/", so that who it is is known by then. */
static void read_keys(const tiny_election_keys *keys, const json_t *kvs, const char *lease,
                      tiny_election_view *view) {
  size_t i;
  const json_t *kv;
  json_array_foreach(kvs, i, kv) {
    if (strcmp(text_of(kv, "key"), keys->active) == 0)
      read_active(kv, view);
    else
      add_member(kv, lease, view);
  }
}

void tiny_election_read(const tiny_election_keys *keys, const json_t *answer, const char *lease,
                        tiny_election_view *view) {
  const json_t *responses = json_object_get(answer, "responses"), *range = answer;
  *view = (tiny_election_view){.members = json_array()};
  view->revision = tiny_election_number(json_object_get(answer, "header"), "revision");
  view->won = json_is_true(json_object_get(answer, "succeeded"));
  if (responses) range = json_object_get(json_array_get(responses, 0), "response_range");
  read_keys(keys, json_object_get(range, "kvs"), lease, view);
}
