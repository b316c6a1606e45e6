/* SPDX-License-Identifier: MIT
 * fake_etcd.h -- as much of etcd as an election needs, in memory and on the test's own loop: leases
 * that run out, keys under them, revisions, watches. It can fall silent, and lose answers. */
#ifndef TINY_FAKE_ETCD_H
#define TINY_FAKE_ETCD_H

#include "base64.h"
#include "etcd.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_MOST = 16 };

typedef struct fake_lease {
  int id; /* 0: none */
  uint64_t ends_ms;
} fake_lease;

typedef struct fake_key {
  char key[256], value[512]; /* base64 */
  int lease, created;        /* 0: no key */
} fake_key;

struct tiny_etcd_call {
  tiny_etcd_ask ask;
  char path[32];
  uint64_t answers_ms, times_out_ms;
  bool watches, told;
  int from; /* revision that a watch begins with */
  tiny_etcd_call *next;
};

struct tiny_etcd {
  int unused;
};

static struct fake_etcd {
  uv_loop_t *loop;
  uv_timer_t tick;
  int ttl_s, revision, last_lease, granted, revoked, kept;
  int changed;    /* revision of the last change of a key */
  bool silent;    /* no answer to anything */
  bool loses_txn; /* the next transaction is done, but its answer is lost */
  bool cancels;   /* watches */
  fake_lease leases[FAKE_MOST];
  fake_key keys[FAKE_MOST];
  tiny_etcd_call *calls;
} fake;

static uint64_t fake_now(void) { return uv_hrtime() / 1000000; }

static const char *fake_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static fake_lease *fake_find_lease(int id) {
  for (int i = 0; i < FAKE_MOST; i++)
    if (id && fake.leases[i].id == id) return &fake.leases[i];
  return NULL;
}

static fake_key *fake_find_key(const char *key) {
  for (int i = 0; i < FAKE_MOST; i++)
    if (fake.keys[i].created && strcmp(fake.keys[i].key, key) == 0) return &fake.keys[i];
  return NULL;
}

static void fake_end_lease(int id) {
  for (int i = 0; i < FAKE_MOST; i++)
    if (fake.keys[i].created && fake.keys[i].lease == id) {
      fake.keys[i].created = 0;
      fake.changed = ++fake.revision;
    }
  fake_find_lease(id)->id = 0;
}

static void fake_delete(const char *plain) {
  char key[256];
  tiny_base64_encode(plain, strlen(plain), key);
  fake_find_key(key)->created = 0;
  fake.changed = ++fake.revision;
}

static bool fake_put(const json_t *put) {
  fake_key *key = fake_find_key(fake_text(put, "key"));
  int lease = atoi(fake_text(put, "lease"));
  if (!fake_find_lease(lease)) return false;
  for (int i = 0; !key; i++)
    if (!fake.keys[i].created) key = &fake.keys[i];
  fake.changed = ++fake.revision;
  if (!key->created) key->created = fake.revision;
  snprintf(key->key, sizeof key->key, "%s", fake_text(put, "key"));
  snprintf(key->value, sizeof key->value, "%s", fake_text(put, "value"));
  key->lease = lease;
  return true;
}

static json_t *fake_number(int number) {
  char text[16];
  snprintf(text, sizeof text, "%d", number);
  return json_string(text);
}

static int fake_compare(const void *a, const void *b) {
  return strcmp((*(fake_key *const *)a)->key, (*(fake_key *const *)b)->key);
}

/* All keys: there is one cluster only. */
static json_t *fake_range(void) {
  json_t *kvs = json_array();
  fake_key *sorted[FAKE_MOST];
  int count = 0;
  for (int i = 0; i < FAKE_MOST; i++)
    if (fake.keys[i].created) sorted[count++] = &fake.keys[i];
  qsort(sorted, (size_t)count, sizeof *sorted, fake_compare);
  for (int i = 0; i < count; i++)
    json_array_append_new(kvs, json_pack("{s:s,s:s,s:o,s:o}", "key", sorted[i]->key, "value",
                                         sorted[i]->value, "lease", fake_number(sorted[i]->lease),
                                         "create_revision", fake_number(sorted[i]->created)));
  return kvs;
}

static json_t *fake_header(void) {
  return json_pack("{s:o}", "revision", fake_number(fake.revision));
}

/* NULL: the lease is not there. */
static json_t *fake_txn(const json_t *body) {
  const json_t *compare = json_array_get(json_object_get(body, "compare"), 0);
  const json_t *put =
      json_object_get(json_array_get(json_object_get(body, "success"), 0), "request_put");
  if (!fake_find_key(fake_text(compare, "key"))) {
    if (!fake_put(put)) return NULL;
    return json_pack("{s:o,s:b}", "header", fake_header(), "succeeded", 1);
  }
  return json_pack("{s:o,s:[{s:{s:o}}]}", "header", fake_header(), "responses", "response_range",
                   "kvs", fake_range());
}

static json_t *fake_grant(void) {
  fake_lease *lease = fake.leases;
  while (lease->id) lease++;
  *lease = (fake_lease){++fake.last_lease, fake_now() + (uint64_t)fake.ttl_s * 1000};
  fake.granted++;
  return json_pack("{s:o,s:o}", "ID", fake_number(lease->id), "TTL", fake_number(fake.ttl_s));
}

static json_t *fake_keep(const json_t *body) {
  fake_lease *lease = fake_find_lease(atoi(fake_text(body, "ID")));
  if (!lease) return json_pack("{s:{s:s}}", "result", "ID", fake_text(body, "ID"));
  lease->ends_ms = fake_now() + (uint64_t)fake.ttl_s * 1000;
  fake.kept++;
  return json_pack("{s:{s:o}}", "result", "TTL", fake_number(fake.ttl_s));
}

static json_t *fake_revoke(const json_t *body) {
  int id = atoi(fake_text(body, "ID"));
  if (!fake_find_lease(id)) return NULL;
  fake_end_lease(id);
  fake.revoked++;
  return json_object();
}

static json_t *fake_answer(const char *path, const json_t *body) {
  if (strcmp(path, "/v3/lease/grant") == 0) return fake_grant();
  if (strcmp(path, "/v3/lease/keepalive") == 0) return fake_keep(body);
  if (strcmp(path, "/v3/lease/revoke") == 0) return fake_revoke(body);
  if (strcmp(path, "/v3/kv/txn") == 0) return fake_txn(body);
  if (strcmp(path, "/v3/kv/put") == 0) return fake_put(body) ? json_object() : NULL;
  ck_assert_str_eq(path, "/v3/kv/range");
  return json_pack("{s:o,s:o}", "header", fake_header(), "kvs", fake_range());
}

/* -- calls ----------------------------------------------------------------- */

static void fake_forget(tiny_etcd_call *call) {
  tiny_etcd_call **at = &fake.calls;
  while (*at != call) at = &(*at)->next;
  *at = call->next;
  json_decref(call->ask.body);
  free(call);
}

static bool fake_knows(const tiny_etcd_call *call) {
  tiny_etcd_call *other = fake.calls;
  while (other && other != call) other = other->next;
  return other != NULL;
}

static void fake_finish(tiny_etcd_call *call, int code) {
  tiny_etcd_ask ask = call->ask;
  json_incref(ask.body);
  fake_forget(call);
  json_decref(ask.body);
  ask.end(ask.data, code, code ? "it failed" : "");
}

static void fake_say(tiny_etcd_call *call, json_t *line) {
  call->ask.line(call->ask.data, line);
  json_decref(line);
}

static void fake_serve_watch(tiny_etcd_call *call) {
  if (call->told) return;
  if (fake.cancels) {
    call->told = true;
    fake_say(call, json_pack("{s:{s:b,s:b}}", "result", "created", 1, "canceled", 1));
  } else if (fake.changed >= call->from) {
    call->told = true;
    fake_say(call, json_pack("{s:{s:[{}]}}", "result", "events"));
  }
}

static void fake_serve(tiny_etcd_call *call) {
  if (call->watches) {
    fake_serve_watch(call);
    return;
  }
  bool lost = fake.loses_txn && strcmp(call->path, "/v3/kv/txn") == 0;
  json_t *answer = fake_answer(call->path, call->ask.body);
  if (lost) {
    fake.loses_txn = false;
    call->answers_ms = UINT64_MAX;
    json_decref(answer);
    return;
  }
  if (answer) fake_say(call, answer);
  if (fake_knows(call)) fake_finish(call, answer ? TINY_ETCD_OK : TINY_ETCD_NOT_FOUND);
}

static tiny_etcd_call *fake_due(uint64_t now) {
  tiny_etcd_call *call = fake.calls;
  while (call && call->times_out_ms > now && (fake.silent || call->answers_ms > now || call->told))
    call = call->next;
  return call;
}

static void fake_tick(uv_timer_t *timer) {
  uint64_t now = fake_now();
  (void)timer;
  for (int i = 0; i < FAKE_MOST; i++)
    if (fake.leases[i].id && fake.leases[i].ends_ms <= now) fake_end_lease(fake.leases[i].id);
  for (tiny_etcd_call *call; (call = fake_due(now));) {
    if (call->times_out_ms <= now) {
      fake_finish(call, TINY_ETCD_NO_ANSWER);
    } else {
      call->answers_ms = now + 1; /* a watch is looked at again */
      fake_serve(call);
    }
  }
}

static tiny_etcd_call *fake_ask(tiny_etcd *etcd, const tiny_etcd_ask *ask) {
  tiny_etcd_call *call = calloc(1, sizeof *call);
  (void)etcd;
  call->ask = *ask;
  snprintf(call->path, sizeof call->path, "%s", ask->path);
  call->answers_ms = fake_now() + 1;
  call->times_out_ms = fake_now() + ask->timeout_ms;
  call->watches = strcmp(ask->path, "/v3/watch") == 0;
  if (call->watches)
    call->from = atoi(fake_text(json_object_get(ask->body, "create_request"), "start_revision"));
  call->next = fake.calls;
  fake.calls = call;
  return call;
}

static void fake_cancel(tiny_etcd_call *call) { fake_forget(call); }

static tiny_etcd *fake_open(uv_loop_t *loop, const tiny_etcd_settings *settings) {
  (void)loop, (void)settings;
  return calloc(1, sizeof(tiny_etcd));
}

static void fake_close(tiny_etcd *etcd) { free(etcd); }

static const tiny_etcd_plugin fake_plugin = {fake_open, fake_close, fake_ask, fake_cancel};

static void fake_begin(uv_loop_t *loop, int ttl_s) {
  memset(&fake, 0, sizeof fake);
  fake.loop = loop;
  fake.ttl_s = ttl_s;
  fake.revision = 1;
  uv_timer_init(loop, &fake.tick);
  uv_timer_start(&fake.tick, fake_tick, 1, 1);
}

static void fake_end(void) {
  ck_assert_ptr_null(fake.calls);
  uv_close((uv_handle_t *)&fake.tick, NULL);
}

#endif
