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
  if (t->line) t->line(t->owner, line);
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

void tiny_talk_listen(tiny_talk *t, const char *path, json_t *body, uint64_t timeout_ms,
                      void (*line)(void *, const json_t *), tiny_talk_fn then) {
  tiny_etcd_ask ask = {path, body, timeout_ms, on_line, on_end, t};
  tiny_talk_hush(t);
  t->line = line;
  t->then = then;
  t->sent_ns = tiny_talk_now();
  t->call = t->plugin->ask(*t->etcd, &ask);
  if (!t->call) tiny_talk_go_on(t, PAUSE_MS);
}

void tiny_talk_ask(tiny_talk *t, const char *path, json_t *body, uint64_t timeout_ms,
                   tiny_talk_fn then) {
  tiny_talk_listen(t, path, body, timeout_ms, NULL, then);
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
