/* SPDX-License-Identifier: MIT
 * shared_conf.c -- looked at, then watched; looked at again when something happens. */
#include "shared_conf.h"

#include "etcd_text.h"
#include "talk.h"
#include "utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TIMEOUT_MS = 3000,
  WATCH_MS = 20000, /* then it is looked at again: who has fallen silent is left */
  SETTLE_MS = 100,  /* several keys that are put one after the other are one change */
  AGAIN_MS = 2000
};

struct tiny_shared_conf {
  tiny_log *log;
  const tiny_etcd_plugin *plugin;
  tiny_etcd *etcd;
  uv_loop_t *loop;
  char *prefix;
  char *first, *end; /* all below it, in base64 */
  tiny_talk talk;
  char version[48];  /* that was told last; "" before the first */
  uint64_t revision; /* of the store when it was looked at */
  bool troubled;     /* and that was told */
  void (*changed)(void *data, json_t *shared);
  void *data;
};

/* -- what is there --------------------------------------------------------- */

static json_t *value_of(const char *bytes, size_t size) {
  json_t *value = json_loadb(bytes, size, JSON_DECODE_ANY, NULL);
  if (value) return json_pack("{s:o}", "value", value);
  return json_pack("{s:o}", "text", tiny_utf8_json(bytes));
}

static void add_key(const tiny_shared_conf *s, json_t *keys, const json_t *kv) {
  size_t key_size, size, skip = strlen(s->prefix);
  char *key = tiny_etcd_bytes(json_object_get(kv, "key"), &key_size);
  char *bytes = tiny_etcd_bytes(json_object_get(kv, "value"), &size);
  if (key && bytes && key_size > skip && strlen(key) == key_size)
    json_object_set_new(keys, key + skip, value_of(bytes, size));
  free(bytes);
  free(key);
}

/* Revisions only grow, and a key that goes makes them fewer. */
static void version_of(const json_t *kvs, char *version, size_t size) {
  uint64_t newest = 0;
  size_t i;
  const json_t *kv;
  json_array_foreach(kvs, i, kv) {
    uint64_t revision = tiny_etcd_number(kv, "mod_revision");
    if (revision > newest) newest = revision;
  }
  snprintf(version, size, "%llu.%zu", (unsigned long long)newest, json_array_size(kvs));
}

static void tell(tiny_shared_conf *s, const json_t *kvs) {
  json_t *keys = json_object();
  for (size_t i = 0; i < json_array_size(kvs); i++) add_key(s, keys, json_array_get(kvs, i));
  s->changed(s->data,
             json_pack("{s:s,s:s,s:o}", "version", s->version, "prefix", s->prefix, "keys", keys));
}

/* -- looking and watching -------------------------------------------------- */

static void failed(tiny_shared_conf *s, const char *message) {
  if (!s->troubled) tiny_warn(s->log, "svr.cluster.conf_prefix %s: %s", s->prefix, message);
  s->troubled = true;
  tiny_talk_pause(&s->talk, AGAIN_MS);
}

static void on_looked(void *owner, int code, const char *message) {
  tiny_shared_conf *s = owner;
  char version[sizeof s->version];
  if (code != TINY_ETCD_OK || !s->talk.answer) {
    failed(s, message);
    return;
  }
  const json_t *kvs = json_object_get(s->talk.answer, "kvs");
  s->troubled = false;
  s->revision = tiny_etcd_number(json_object_get(s->talk.answer, "header"), "revision");
  version_of(kvs, version, sizeof version);
  bool news = strcmp(version, s->version) != 0;
  memcpy(s->version, version, sizeof version);
  if (news) tell(s, kvs);
  tiny_talk_watch(&s->talk, tiny_etcd_watch(s->first, s->end, s->revision + 1), WATCH_MS, SETTLE_MS,
                  AGAIN_MS);
}

static void look(void *owner) {
  tiny_shared_conf *s = owner;
  tiny_talk_ask(&s->talk, "/v3/kv/range", tiny_etcd_range(s->first, s->end), TIMEOUT_MS, on_looked);
}

/* -- opening and closing --------------------------------------------------- */

static void free_shared(void *owner) {
  tiny_shared_conf *s = owner;
  free(s->prefix);
  free(s->first);
  free(s->end);
  free(s);
}

tiny_shared_conf *tiny_shared_conf_open(uv_loop_t *loop, tiny_log *log,
                                        const tiny_etcd_plugin *plugin,
                                        const tiny_etcd_settings *settings, const char *prefix,
                                        void (*changed)(void *data, json_t *shared), void *data) {
  tiny_shared_conf *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  *s = (tiny_shared_conf){
      .log = log, .plugin = plugin, .loop = loop, .changed = changed, .data = data};
  s->prefix = strdup(prefix);
  s->first = tiny_etcd_key("%s", prefix);
  s->end = tiny_etcd_end(prefix);
  if (s->prefix && s->first && s->end) s->etcd = plugin->open(loop, settings);
  if (!s->etcd) {
    free_shared(s);
    return NULL;
  }
  tiny_talk_open(&s->talk, loop, plugin, &s->etcd, s, look);
  tiny_talk_go_on(&s->talk, 0);
  return s;
}

void tiny_shared_conf_settle(tiny_shared_conf *s, const tiny_etcd_settings *settings) {
  tiny_etcd *etcd = s->plugin->open(s->loop, settings);
  if (!etcd) return;
  tiny_talk_hush(&s->talk);
  s->plugin->close(s->etcd);
  s->etcd = etcd;
  tiny_talk_go_on(&s->talk, 0);
}

void tiny_shared_conf_close(tiny_shared_conf *s) {
  tiny_talk_close(&s->talk, free_shared);
  s->plugin->close(s->etcd);
}
