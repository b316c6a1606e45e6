/* SPDX-License-Identifier: MIT
 * talk.c -- one request, its answer, the next. */
#include "talk.h"

#include "clock.h"

enum { PAUSE_MS = 50 };

uint64_t tiny_talk_now(void) { return tiny_clock_ns(CLOCK_BOOTTIME); }

static void on_timer(uv_timer_t *timer) {
  tiny_talk *t = timer->data;
  t->go_on(t->owner);
}

void tiny_talk_open(tiny_talk *t, uv_loop_t *loop, const tiny_etcd_plugin *plugin,
                    tiny_etcd *const *etcd, void *owner, void (*go_on)(void *)) {
  *t = (tiny_talk){.plugin = plugin, .etcd = etcd, .owner = owner, .go_on = go_on};
  uv_timer_init(loop, &t->timer);
  t->timer.data = t;
}

static void on_line(void *data, const json_t *line) {
  tiny_talk *t = data;
  json_decref(t->answer);
  t->answer = json_incref((json_t *)(uintptr_t)line);
}

static void on_end(void *data, int code, const char *message) {
  tiny_talk *t = data;
  t->call = NULL;
  t->then(t->owner, code, message);
}

void tiny_talk_hush(tiny_talk *t) {
  uv_timer_stop(&t->timer);
  if (t->call) t->plugin->cancel(t->call);
  json_decref(t->answer);
  t->call = NULL;
  t->answer = NULL;
}

void tiny_talk_go_on(tiny_talk *t, uint64_t ms) {
  uv_update_time(t->timer.loop);
  uv_timer_start(&t->timer, on_timer, ms, 0);
}

void tiny_talk_pause(tiny_talk *t, uint64_t longest_ms) {
  uint64_t ms = t->pause_ms < longest_ms ? t->pause_ms : longest_ms;
  if (ms < PAUSE_MS) ms = PAUSE_MS;
  t->pause_ms = 2 * ms;
  tiny_talk_go_on(t, ms);
}

static void start(tiny_talk *t, const tiny_etcd_ask *ask) {
  tiny_talk_hush(t);
  t->sent_ns = tiny_talk_now();
  t->call = t->plugin->ask(*t->etcd, ask);
  if (!t->call) tiny_talk_go_on(t, PAUSE_MS);
}

void tiny_talk_ask(tiny_talk *t, const char *path, json_t *body, uint64_t timeout_ms,
                   tiny_talk_fn then) {
  t->then = then;
  start(t, &(tiny_etcd_ask){path, body, timeout_ms, on_line, on_end, t});
}

/* One that ends as soon as it begins is not asked for again and again. */
static void end_watch(tiny_talk *t) {
  tiny_talk_hush(t);
  if (tiny_talk_now() - t->sent_ns > t->longest_ms * 1000000) t->pause_ms = 0;
  tiny_talk_pause(t, t->longest_ms);
}

static void on_watch_end(void *data, int code, const char *message) {
  tiny_talk *t = data;
  (void)code, (void)message;
  t->call = NULL;
  end_watch(t);
}

static void on_watch_line(void *data, const json_t *line) {
  tiny_talk *t = data;
  const json_t *result = json_object_get(line, "result");
  if (!result || json_is_true(json_object_get(result, "canceled"))) {
    end_watch(t);
  } else if (json_object_get(result, "events")) {
    tiny_talk_hush(t);
    tiny_talk_go_on(t, t->settle_ms);
  }
}

void tiny_talk_watch(tiny_talk *t, json_t *body, uint64_t timeout_ms, uint64_t settle_ms,
                     uint64_t longest_ms) {
  t->settle_ms = settle_ms;
  t->longest_ms = longest_ms;
  start(t, &(tiny_etcd_ask){"/v3/watch", body, timeout_ms, on_watch_line, on_watch_end, t});
}

static void on_closed(uv_handle_t *handle) {
  tiny_talk *t = handle->data;
  t->closed(t->owner);
}

void tiny_talk_close(tiny_talk *t, void (*closed)(void *)) {
  tiny_talk_hush(t);
  t->closed = closed;
  uv_close((uv_handle_t *)&t->timer, on_closed);
}
