/* SPDX-License-Identifier: MIT
 * feed.c -- when to publish, and what. All on the control thread, but for opening, closing
 * and being told of news. */
#include "feed.h"

#include "plugin.h"
#include "publisher.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  START_MS = 200,  /* a server that starts has better use for its time than opening libzmq */
  JOIN_MS = 10,    /* who joins within this shares one message */
  ERROR_MS = 1000, /* errors are told at once, but not more often than this */
  DUMP = JSON_COMPACT | JSON_REAL_PRECISION(12)
};

struct tiny_feed {
  tiny_control *control;
  tiny_state *state;
  tiny_log *log;
  tiny_errand opening, closing, news_errand;
  _Atomic unsigned news; /* TINY_NEWS_* bits; whoever sets the first one sends the errand */
  uv_sem_t closed;
  bool ends; /* closing has begun */
  int open;  /* what has to end before the feed is gone */

  uv_timer_t start, period, joins, errors;
  bool erred; /* an error waits until 'errors' is due */
  uint64_t seq;
  tiny_conf *conf; /* in force here; NULL before the first */
  char *conf_text; /* the same as JSON; NULL until somebody listens */
  char topic[80];
  const tiny_publisher_table *table; /* NULL until a conf wants the feed */
  tiny_publisher *publisher;         /* NULL while there is none */
};

/* -- publishing -------------------------------------------------------------- */

static bool is_heard(const tiny_feed *feed) {
  return feed->publisher && feed->table->is_heard(feed->publisher);
}

static const char *conf_text(tiny_feed *feed) {
  if (!feed->conf_text) feed->conf_text = json_dumps(tiny_conf_masked(feed->conf), DUMP);
  return feed->conf_text;
}

/* The message, for free(); NULL when out of memory. */
static char *encode(tiny_feed *feed) {
  json_t *info = tiny_state_take_info(feed->state);
  char *info_text = json_dumps(info, DUMP), *text = NULL;
  json_decref(info);
  if (info_text && conf_text(feed) &&
      asprintf(&text, "{\"version\":1,\"seq\":%llu,\"info\":%s,\"conf\":%s}",
               (unsigned long long)feed->seq + 1, info_text, conf_text(feed)) < 0)
    text = NULL;
  free(info_text);
  return text;
}

static void publish(tiny_feed *feed) {
  char *text = is_heard(feed) ? encode(feed) : NULL;
  if (!text) return;
  feed->seq++;
  feed->erred = false;
  uv_timer_stop(&feed->joins); /* whoever has joined by now gets this one */
  feed->table->send(feed->publisher, text, strlen(text));
  free(text);
}

static void on_joins_due(uv_timer_t *timer) { publish(timer->data); }

/* With nobody there the timer is at rest. */
static void on_period_due(uv_timer_t *timer) {
  tiny_feed *feed = timer->data;
  if (is_heard(feed))
    publish(feed);
  else
    uv_timer_stop(timer);
}

static void start_period(tiny_feed *feed) {
  uint64_t ms = tiny_conf_ms(feed->conf, "svr.monitor.timer");
  uv_timer_start(&feed->period, on_period_due, ms, ms ? ms : 1);
}

static void on_joined(void *data) {
  tiny_feed *feed = data;
  if (!uv_is_active((uv_handle_t *)&feed->joins))
    uv_timer_start(&feed->joins, on_joins_due, JOIN_MS, 0);
  if (!uv_is_active((uv_handle_t *)&feed->period)) start_period(feed);
}

static void tell_error(tiny_feed *feed);

static void on_errors_due(uv_timer_t *timer) {
  tiny_feed *feed = timer->data;
  if (feed->erred) tell_error(feed);
}

static void tell_error(tiny_feed *feed) {
  feed->erred = uv_is_active((uv_handle_t *)&feed->errors);
  if (feed->erred || !is_heard(feed)) return;
  uv_timer_start(&feed->errors, on_errors_due, ERROR_MS, 0);
  publish(feed);
}

/* -- settings ---------------------------------------------------------------- */

static void say(void *data, tiny_level level, const char *text) {
  tiny_feed *feed = data;
  tiny_log_printf(feed->log, level, TINY_HERE, "%s", text);
}

/* A file is relative to conf.lua; "*" and "@name" are no files. */
static json_t *absolute(const tiny_conf *conf, const char *uri) {
  const char *path = uri + strlen("ipc://");
  if (strncmp(uri, "ipc://", strlen("ipc://")) != 0 || strchr("/@*", *path))
    return json_string(uri);
  return json_sprintf("ipc://%s/%s", tiny_conf_dir(conf), path);
}

static json_t *endpoints_of(const tiny_conf *conf) {
  const json_t *host = tiny_conf_json(conf, "svr.monitor.host");
  json_t *uris = json_array();
  if (json_is_string(host)) json_array_append_new(uris, absolute(conf, json_string_value(host)));
  for (size_t i = 0; i < json_array_size(host); i++) {
    const char *uri = json_string_value(json_array_get(host, i));
    if (uri) json_array_append_new(uris, absolute(conf, uri));
  }
  return uris;
}

static const json_t *curve_of(const tiny_conf *conf) {
  const json_t *curve = tiny_conf_json(conf, "svr.monitor.curve");
  return json_is_object(curve) ? curve : NULL;
}

static bool same_curve(const tiny_conf *a, const tiny_conf *b) {
  const json_t *one = curve_of(a), *other = curve_of(b);
  return one == other || json_equal(one, other);
}

static void close_publisher(tiny_feed *feed) {
  if (feed->publisher) feed->table->close(feed->publisher);
  feed->publisher = NULL;
  uv_timer_stop(&feed->period);
  uv_timer_stop(&feed->joins);
  uv_timer_stop(&feed->errors);
}

/* libzmq is opened here for the first time: it is not on the way of a server that starts. */
static void open_publisher(tiny_feed *feed) {
  char why[256];
  const char *name = tiny_conf_string(feed->conf, "svr.name");
  tiny_publisher_parts parts = {.loop = tiny_control_loop(feed->control),
                                .topic = feed->topic,
                                .curve = curve_of(feed->conf),
                                .joined = on_joined,
                                .say = say,
                                .data = feed};
  snprintf(feed->topic, sizeof feed->topic, "tiny.%s", name ? name : "");
  if (!feed->table) feed->table = tiny_plugin_table("feed", "tiny_feed_publisher", why, sizeof why);
  if (feed->table) feed->publisher = feed->table->open(&parts, why, sizeof why);
  if (!feed->publisher) tiny_warn(feed->log, "monitor: nothing is published: %s", why);
}

/* Subscribers stay where they can. */
static void follow(tiny_feed *feed, const tiny_conf *old) {
  bool wanted = tiny_conf_bool(feed->conf, "svr.monitor");
  if (!wanted || (old && !same_curve(old, feed->conf))) close_publisher(feed);
  if (wanted && !feed->publisher) open_publisher(feed);
  if (!feed->publisher) return;
  json_t *endpoints = endpoints_of(feed->conf);
  feed->table->listen(feed->publisher, endpoints);
  json_decref(endpoints);
  if (is_heard(feed)) start_period(feed);
}

static void take_conf(tiny_feed *feed) {
  uv_timer_stop(&feed->start);
  tiny_conf *old = feed->conf;
  feed->conf = tiny_state_hold_conf(feed->state);
  if (feed->conf && feed->conf != old) {
    free(feed->conf_text);
    feed->conf_text = NULL;
    follow(feed, old);
  }
  tiny_conf_drop(old);
}

/* -- news -------------------------------------------------------------------- */

/* Any thread, under the state's lock. */
static void on_told(void *data, tiny_news news) {
  tiny_feed *feed = data;
  if (atomic_fetch_or(&feed->news, news) == 0) tiny_control_send(feed->control, &feed->news_errand);
}

static void end_part(tiny_feed *feed) {
  if (--feed->open == 0) uv_sem_post(&feed->closed);
}

static void on_start_due(uv_timer_t *timer) { take_conf(timer->data); }

static void look_at_conf(tiny_feed *feed) {
  if (!feed->conf && atomic_load(&feed->state->phase) == TINY_STARTING)
    uv_timer_start(&feed->start, on_start_due, START_MS, 0);
  else
    take_conf(feed);
}

static void take_news(tiny_errand *errand) {
  tiny_feed *feed = (tiny_feed *)((char *)errand - offsetof(tiny_feed, news_errand));
  unsigned news = atomic_exchange(&feed->news, 0);
  if (feed->ends) {
    end_part(feed);
    return;
  }
  if (news & (TINY_NEWS_CONF | TINY_NEWS_STATE)) look_at_conf(feed);
  if (news & TINY_NEWS_STATE)
    publish(feed);
  else if (news & TINY_NEWS_ERROR)
    tell_error(feed);
}

/* -- opening and closing ----------------------------------------------------- */

static void open_here(tiny_errand *errand) {
  tiny_feed *feed = (tiny_feed *)((char *)errand - offsetof(tiny_feed, opening));
  uv_loop_t *loop = tiny_control_loop(feed->control);
  uv_timer_init(loop, &feed->start);
  uv_timer_init(loop, &feed->period);
  uv_timer_init(loop, &feed->joins);
  uv_timer_init(loop, &feed->errors);
  feed->start.data = feed->period.data = feed->joins.data = feed->errors.data = feed;
  tiny_state_watch(feed->state, on_told, feed);
  look_at_conf(feed);
}

static void on_closed(uv_handle_t *handle) { end_part(handle->data); }

/* News that are on their way are waited for: their errand is a part of the feed. */
static void close_here(tiny_errand *errand) {
  tiny_feed *feed = (tiny_feed *)((char *)errand - offsetof(tiny_feed, closing));
  feed->ends = true;
  tiny_state_watch(feed->state, NULL, NULL);
  feed->open = atomic_load(&feed->news) ? 5 : 4;
  close_publisher(feed);
  uv_close((uv_handle_t *)&feed->start, on_closed);
  uv_close((uv_handle_t *)&feed->period, on_closed);
  uv_close((uv_handle_t *)&feed->joins, on_closed);
  uv_close((uv_handle_t *)&feed->errors, on_closed);
}

tiny_feed *tiny_feed_open(tiny_control *control, tiny_state *state, tiny_log *log) {
  tiny_feed *feed = calloc(1, sizeof *feed);
  if (!feed) return NULL;
  feed->control = control;
  feed->state = state;
  feed->log = log;
  feed->opening.run = open_here;
  feed->closing.run = close_here;
  feed->news_errand.run = take_news;
  uv_sem_init(&feed->closed, 0);
  tiny_control_send(control, &feed->opening);
  return feed;
}

void tiny_feed_close(tiny_feed *feed) {
  if (!feed) return;
  tiny_control_send(feed->control, &feed->closing);
  uv_sem_wait(&feed->closed);
  uv_sem_destroy(&feed->closed);
  tiny_conf_drop(feed->conf);
  free(feed->conf_text);
  free(feed);
}
