/* SPDX-License-Identifier: MIT
 * store.c -- one key, written by a transaction that compares who is the active. */
#include "store.h"

#include "etcd_text.h"
#include "talk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TIMEOUT_MS = 1500, /* of one request: then another endpoint is asked */
  PUT_MS = 3000,     /* of a put with all its requests */
  AGAIN_MS = 200,
  COMPACT_PUTS = 100,
  COMPACT_BYTES = 1 << 20
};

struct tiny_store {
  uv_loop_t *loop;
  tiny_log *log;
  const tiny_etcd_plugin *plugin;
  tiny_etcd *etcd;
  char *key, *fence; /* base64 */
  tiny_talk putting, getting, compacting;
  int open;          /* talks */
  uint64_t token;    /* of what is being put */
  uint64_t revision; /* at which the key was last changed, as far as is known; 0: it was not */
  uint64_t put_until_ns;
  char *text;
  unsigned puts; /* asked for since it was compacted, */
  size_t bytes;  /* and what they came to */
  bool grumbled; /* that compacting does not work */
  void (*put_done)(void *data, int rc, const char *why);
  void *put_data;
  void (*get_done)(void *data, int rc, const char *text);
  void *get_data;
};

/* -- putting --------------------------------------------------------------- */

static void end_put(tiny_store *s, int rc, const char *why) {
  void (*done)(void *, int, const char *) = s->put_done;
  free(s->text);
  s->text = NULL;
  s->put_done = NULL;
  if (done) done(s->put_data, rc, why);
}

static void on_compacted(void *owner, int code, const char *message) {
  tiny_store *s = owner;
  bool refused = code == TINY_ETCD_DENIED || code == TINY_ETCD_UNAUTHENTICATED;
  if (refused && !s->grumbled)
    tiny_warn(s->log, "etcd does not let us compact (%s): run it with --auto-compaction", message);
  s->grumbled = s->grumbled || refused;
}

/* Each version stays until then, and a full etcd elects nobody any more. */
static void compact(void *owner) {
  tiny_store *s = owner;
  char text[24];
  if (s->puts < COMPACT_PUTS && s->bytes < COMPACT_BYTES) return;
  s->puts = 0;
  s->bytes = 0;
  snprintf(text, sizeof text, "%llu", (unsigned long long)s->revision);
  tiny_talk_ask(&s->compacting, "/v3/kv/compaction", json_pack("{s:s}", "revision", text),
                TIMEOUT_MS, on_compacted);
}

static json_t *look(const char *key) {
  return json_pack("{s:{s:s,s:b}}", "request_range", "key", key, "keys_only", 1);
}

/* If we are the active, and nothing has been put that we do not know of: a request that was given up may
 * be done much later, and must not overwrite what came after it. Otherwise say what there is. */
static json_t *put_request(const tiny_store *s) {
  return json_pack("{s:[o,o],s:[{s:{s:s,s:s}}],s:[o,o]}", "compare",
                   tiny_etcd_compare(s->fence, "CREATE", "create_revision", s->token),
                   tiny_etcd_compare(s->key, "MOD", "mod_revision", s->revision), "success",
                   "request_put", "key", s->key, "value", s->text, "failure", look(s->fence),
                   look(s->key));
}

static bool in_time(const tiny_store *s) { return uv_hrtime() < s->put_until_ns; }

static void put(void *owner);

static void on_refused(tiny_store *s, const json_t *answer) {
  uint64_t active = tiny_etcd_number(tiny_etcd_found(answer, 0), "create_revision");
  s->revision = tiny_etcd_number(tiny_etcd_found(answer, 1), "mod_revision");
  if (active == s->token && in_time(s))
    put(s);
  else
    end_put(s, -ESTALE, "another is the active by now");
}

static void on_put(void *owner, int code, const char *message) {
  tiny_store *s = owner;
  const json_t *answer = s->putting.answer;
  bool unheard = code == TINY_ETCD_NO_ANSWER || code == TINY_ETCD_UNAVAILABLE;
  if (unheard && in_time(s)) {
    tiny_talk_pause(&s->putting, AGAIN_MS);
  } else if (code != TINY_ETCD_OK) {
    end_put(s, code == TINY_ETCD_EXHAUSTED ? -ENOSPC : -EIO, message);
  } else if (!json_is_true(json_object_get(answer, "succeeded"))) {
    on_refused(s, answer);
  } else {
    s->revision = tiny_etcd_number(json_object_get(answer, "header"), "revision");
    compact(s);
    end_put(s, 0, "");
  }
}

/* What is asked for may be done, answered or not: it counts for compacting. */
static void put(void *owner) {
  tiny_store *s = owner;
  s->puts++;
  s->bytes += strlen(s->text);
  tiny_talk_ask(&s->putting, "/v3/kv/txn", put_request(s), TIMEOUT_MS, on_put);
}

void tiny_store_put(tiny_store *s, uint64_t token, char *text,
                    void (*done)(void *data, int rc, const char *why), void *data) {
  s->token = token;
  s->text = text;
  s->put_done = done;
  s->put_data = data;
  s->put_until_ns = uv_hrtime() + PUT_MS * 1000000ull;
  put(s);
}

/* -- getting --------------------------------------------------------------- */

static void end_get(tiny_store *s, int rc, const char *text) {
  void (*done)(void *, int, const char *) = s->get_done;
  s->get_done = NULL;
  if (done) done(s->get_data, rc, text);
}

static void on_got(void *owner, int code, const char *message) {
  tiny_store *s = owner;
  (void)message; /* the election tells of the same trouble */
  const json_t *kvs = json_object_get(s->getting.answer, "kvs");
  if (code != TINY_ETCD_OK || !s->getting.answer)
    tiny_talk_pause(&s->getting, AGAIN_MS);
  else
    end_get(s, 0, json_string_value(json_object_get(json_array_get(kvs, 0), "value")));
}

static void get(void *owner) {
  tiny_store *s = owner;
  tiny_talk_ask(&s->getting, "/v3/kv/range", json_pack("{s:s}", "key", s->key), TIMEOUT_MS, on_got);
}

void tiny_store_get(tiny_store *s, void (*done)(void *data, int rc, const char *text), void *data) {
  s->get_done = done;
  s->get_data = data;
  get(s);
}

void tiny_store_stop(tiny_store *s) {
  tiny_talk_hush(&s->putting);
  tiny_talk_hush(&s->getting);
  end_put(s, -ECANCELED, "no longer the active");
  end_get(s, -ECANCELED, NULL);
}

/* -- opening and closing --------------------------------------------------- */

static void free_store(tiny_store *s) {
  free(s->key);
  free(s->fence);
  free(s);
}

static void open_talk(tiny_store *s, tiny_talk *t, void (*go_on)(void *)) {
  tiny_talk_open(t, s->loop, s->plugin, &s->etcd, s, go_on);
}

tiny_store *tiny_store_open(uv_loop_t *loop, tiny_log *log, const tiny_etcd_plugin *plugin,
                            const tiny_etcd_settings *settings, const char *name) {
  tiny_store *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->loop = loop;
  s->log = log;
  s->plugin = plugin;
  s->key = tiny_etcd_key("/tiny/%s/checkpoint", name);
  s->fence = tiny_etcd_key("/tiny/%s/election/active", name);
  if (s->key && s->fence) s->etcd = plugin->open(loop, settings);
  if (!s->etcd) {
    free_store(s);
    return NULL;
  }
  open_talk(s, &s->putting, put);
  open_talk(s, &s->getting, get);
  open_talk(s, &s->compacting, compact);
  return s;
}

void tiny_store_settle(tiny_store *s, const tiny_etcd_settings *settings) {
  tiny_etcd *etcd = s->plugin->open(s->loop, settings);
  if (!etcd) return;
  tiny_talk_hush(&s->putting);
  tiny_talk_hush(&s->getting);
  tiny_talk_hush(&s->compacting);
  s->plugin->close(s->etcd);
  s->etcd = etcd;
  if (s->put_done) put(s);
  if (s->get_done) get(s);
}

static void on_closed(void *owner) {
  tiny_store *s = owner;
  if (--s->open == 0) free_store(s);
}

void tiny_store_close(tiny_store *s) {
  tiny_store_stop(s);
  s->open = 3;
  tiny_talk_close(&s->putting, on_closed);
  tiny_talk_close(&s->getting, on_closed);
  tiny_talk_close(&s->compacting, on_closed);
  s->plugin->close(s->etcd);
}
