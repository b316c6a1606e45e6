/* SPDX-License-Identifier: MIT
 * fuzz_shared_conf.c -- what etcd says to who shares its configuration there: any JSON, as the answer to
 * a look and as a line of a watch, gives keys with values or texts, and nothing is left. */
#include "fuzz.h"

#include "shared_conf.h"

struct tiny_etcd {
  int unused;
};

struct tiny_etcd_call {
  tiny_etcd_ask ask;
};

static uv_loop_t loop;
static tiny_log *quiet;
static tiny_etcd_call *pending;

/* -- a plugin that keeps what is asked ----------------------------------------- */

static tiny_etcd *open_etcd(uv_loop_t *on, const tiny_etcd_settings *settings) {
  static tiny_etcd etcd;
  FUZZ_CHECK(on == &loop && settings != NULL);
  return &etcd;
}

static void cancel(tiny_etcd_call *call) {
  FUZZ_CHECK(call == pending);
  pending = NULL;
  json_decref(call->ask.body);
  free(call);
}

static void close_etcd(tiny_etcd *etcd) {
  FUZZ_CHECK(etcd != NULL);
  if (pending) cancel(pending);
}

static tiny_etcd_call *ask(tiny_etcd *etcd, const tiny_etcd_ask *what) {
  FUZZ_CHECK(etcd && !pending && json_is_object(what->body));
  pending = malloc(sizeof *pending);
  FUZZ_CHECK(pending != NULL);
  pending->ask = *what;
  return pending;
}

static const tiny_etcd_plugin plugin = {open_etcd, close_etcd, ask, cancel};

/* -- one look and one line of a watch ------------------------------------------ */

static void changed(void *data, json_t *shared) {
  const char *key;
  json_t *entry;
  FUZZ_CHECK(data == NULL && json_is_string(json_object_get(shared, "version")));
  FUZZ_CHECK(json_is_object(json_object_get(shared, "keys")));
  json_object_foreach(json_object_get(shared, "keys"), key, entry)
      FUZZ_CHECK(!json_object_get(entry, "value") != !json_object_get(entry, "text"));
  json_decref(shared);
}

static bool await_call(void) {
  for (int i = 0; !pending && i < 10; i++) uv_run(&loop, UV_RUN_NOWAIT);
  return pending != NULL;
}

/* Whoever is told may cancel the call. */
static void answer(const json_t *line, bool last) {
  tiny_etcd_call *call = pending;
  tiny_etcd_ask asked = call->ask;
  if (line) asked.line(asked.data, line);
  if (!last || call != pending) return;
  cancel(call);
  asked.end(asked.data, TINY_ETCD_OK, "");
}

static void converse(const json_t *look, const json_t *watch) {
  static const tiny_etcd_settings settings = {.connect_ms = 1};
  tiny_shared_conf *shared =
      tiny_shared_conf_open(&loop, quiet, &plugin, &settings, "/app/", changed, NULL);
  FUZZ_CHECK(shared != NULL);
  if (await_call()) answer(look, true);
  if (await_call()) answer(watch, false);
  tiny_shared_conf_close(shared);
  uv_run(&loop, UV_RUN_DEFAULT);
  FUZZ_CHECK(!pending);
}

static void close_log(void) { tiny_log_close(quiet, 1000); }

static void open_log(void) {
  char why[64];
  quiet = tiny_log_open();
  FUZZ_CHECK(quiet != NULL);
  tiny_log_mute(quiet);
  FUZZ_CHECK(tiny_log_configure(quiet, NULL, why, sizeof why) == 0);
  atexit(close_log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
  size_t first = end ? (size_t)(end - data) : size;
  json_t *look = json_loadb((const char *)data, first, 0, NULL);
  json_t *watch = end ? json_loadb((const char *)end + 1, size - first - 1, 0, NULL) : NULL;
  if (!quiet) open_log();
  FUZZ_CHECK(uv_loop_init(&loop) == 0);
  converse(look, watch);
  FUZZ_CHECK(uv_loop_close(&loop) == 0);
  json_decref(watch);
  json_decref(look);
  return 0;
}
