/* SPDX-License-Identifier: MIT
 * store.c -- one key, written by a transaction that compares who is the active. */
#include "store.h"

#include "base64.h"
#include "election_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 3000, AGAIN_MS = 200, COMPACT_PUTS = 100, COMPACT_BYTES = 1 << 20 };

/* A call and its answer. */
typedef struct errand {
  tiny_store *store;
  tiny_etcd_call *call;
  json_t *answer;
  void (*then)(tiny_store *store, int code, const char *message);
} errand;

struct tiny_store {
  uv_loop_t *loop;
  tiny_log *log;
  const tiny_etcd_plugin *plugin;
  tiny_etcd *etcd;
  char *key, *fence; /* base64 */
  errand putting, getting, compacting;
  uint64_t token; /* of what is being put */
  char *text;
  uv_timer_t again;
  unsigned puts; /* since it was compacted, */
  size_t bytes;  /* and what they came to */
  bool grumbled; /* that compacting does not work */
  void (*put_done)(void *data, int rc, const char *why);
  void *put_data;
  void (*get_done)(void *data, int rc, const char *text);
  void *get_data;
};

static void on_line(void *data, const json_t *line) {
  errand *e = data;
  json_decref(e->answer);
  e->answer = json_incref((json_t *)(uintptr_t)line);
}

static void on_end(void *data, int code, const char *message) {
  errand *e = data;
  e->call = NULL;
  e->then(e->store, code, message);
}

static void hush(errand *e) {
  if (e->call) e->store->plugin->cancel(e->call);
  json_decref(e->answer);
  e->call = NULL;
  e->answer = NULL;
}

static int ask(errand *e, const char *path, json_t *body,
               void (*then)(tiny_store *, int, const char *)) {
  tiny_etcd_ask request = {path, body, TIMEOUT_MS, on_line, on_end, e};
  hush(e);
  e->then = then;
  e->call = e->store->plugin->ask(e->store->etcd, &request);
  return e->call ? 0 : -1;
}

/* -- putting --------------------------------------------------------------- */

static void end_put(tiny_store *s, int rc, const char *why) {
  void (*done)(void *, int, const char *) = s->put_done;
  free(s->text);
  s->text = NULL;
  s->put_done = NULL;
  if (done) done(s->put_data, rc, why);
}

static void on_compacted(tiny_store *s, int code, const char *message) {
  bool refused = code == TINY_ETCD_DENIED || code == TINY_ETCD_UNAUTHENTICATED;
  if (refused && !s->grumbled)
    tiny_warn(s->log, "etcd does not let us compact (%s): run it with --auto-compaction", message);
  s->grumbled = s->grumbled || refused;
}

/* Each version stays until then, and a full etcd elects nobody any more. */
static void compact(tiny_store *s, uint64_t revision) {
  char text[24];
  s->bytes += strlen(s->text);
  if (++s->puts < COMPACT_PUTS && s->bytes < COMPACT_BYTES) return;
  s->puts = 0;
  s->bytes = 0;
  snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
  ask(&s->compacting, "/v3/kv/compaction", json_pack("{s:s}", "revision", text), on_compacted);
}

static void on_put(tiny_store *s, int code, const char *message) {
  const json_t *answer = s->putting.answer;
  if (code == TINY_ETCD_EXHAUSTED)
    end_put(s, -ENOSPC, message);
  else if (code != TINY_ETCD_OK)
    end_put(s, -EIO, message);
  else if (!json_is_true(json_object_get(answer, "succeeded")))
    end_put(s, -ESTALE, "another is the active by now");
  else {
    compact(s, tiny_election_number(json_object_get(answer, "header"), "revision"));
    end_put(s, 0, "");
  }
}

static json_t *put_request(const tiny_store *s) {
  char token[24];
  snprintf(token, sizeof token, "%llu", (unsigned long long)s->token);
  return json_pack("{s:[{s:s,s:s,s:s,s:s}],s:[{s:{s:s,s:s}}]}", "compare", "key", s->fence,
                   "target", "CREATE", "result", "EQUAL", "create_revision", token, "success",
                   "request_put", "key", s->key, "value", s->text);
}

static void put(tiny_store *s) {
  if (ask(&s->putting, "/v3/kv/txn", put_request(s), on_put) != 0)
    end_put(s, -ENOMEM, "not enough memory");
}

void tiny_store_put(tiny_store *s, uint64_t token, char *text,
                    void (*done)(void *data, int rc, const char *why), void *data) {
  s->token = token;
  s->text = text;
  s->put_done = done;
  s->put_data = data;
  put(s);
}

/* -- getting --------------------------------------------------------------- */

static void end_get(tiny_store *s, int rc, const char *text) {
  void (*done)(void *, int, const char *) = s->get_done;
  s->get_done = NULL;
  if (done) done(s->get_data, rc, text);
}

static void get(tiny_store *s);

static void on_again(uv_timer_t *timer) { get(timer->data); }

static void get_again(tiny_store *s) {
  uv_update_time(s->loop);
  uv_timer_start(&s->again, on_again, AGAIN_MS, 0);
}

static void on_got(tiny_store *s, int code, const char *message) {
  (void)message; /* the election tells of the same trouble */
  const json_t *kvs = json_object_get(s->getting.answer, "kvs");
  if (code != TINY_ETCD_OK || !s->getting.answer)
    get_again(s);
  else
    end_get(s, 0, json_string_value(json_object_get(json_array_get(kvs, 0), "value")));
}

static void get(tiny_store *s) {
  if (ask(&s->getting, "/v3/kv/range", json_pack("{s:s}", "key", s->key), on_got) != 0)
    get_again(s);
}

void tiny_store_get(tiny_store *s, void (*done)(void *data, int rc, const char *text), void *data) {
  s->get_done = done;
  s->get_data = data;
  get(s);
}

void tiny_store_stop(tiny_store *s) {
  uv_timer_stop(&s->again);
  hush(&s->getting);
  end_get(s, -ECANCELED, NULL);
}

/* -- opening and closing --------------------------------------------------- */

static char *key_of(const char *name, const char *rest) {
  char plain[128];
  int size = snprintf(plain, sizeof plain, "/tiny/%.64s/%s", name, rest);
  char *key = malloc(TINY_BASE64_ROOM(sizeof plain));
  if (key) tiny_base64_encode(plain, (size_t)size, key);
  return key;
}

static void free_store(tiny_store *s) {
  free(s->key);
  free(s->fence);
  free(s);
}

tiny_store *tiny_store_open(uv_loop_t *loop, tiny_log *log, const tiny_etcd_plugin *plugin,
                            const tiny_etcd_settings *settings, const char *name) {
  tiny_store *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->loop = loop;
  s->log = log;
  s->plugin = plugin;
  s->putting.store = s->getting.store = s->compacting.store = s;
  s->key = key_of(name, "checkpoint");
  s->fence = key_of(name, "election/active");
  if (s->key && s->fence) s->etcd = plugin->open(loop, settings);
  if (!s->etcd) {
    free_store(s);
    return NULL;
  }
  uv_timer_init(loop, &s->again);
  s->again.data = s;
  return s;
}

void tiny_store_settle(tiny_store *s, const tiny_etcd_settings *settings) {
  tiny_etcd *etcd = s->plugin->open(s->loop, settings);
  if (!etcd) return;
  hush(&s->putting);
  hush(&s->getting);
  hush(&s->compacting);
  s->plugin->close(s->etcd);
  s->etcd = etcd;
  if (s->put_done) put(s);
  if (s->get_done) get(s);
}

static void on_closed(uv_handle_t *handle) { free_store(handle->data); }

void tiny_store_close(tiny_store *s) {
  hush(&s->putting);
  hush(&s->compacting);
  tiny_store_stop(s);
  end_put(s, -ECANCELED, "the server has closed");
  s->plugin->close(s->etcd);
  uv_close((uv_handle_t *)&s->again, on_closed);
}
