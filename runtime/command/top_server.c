/* SPDX-License-Identifier: MIT
 * top_server.c -- taking messages, and judging by them. */
#include "top_server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static const double FRESH_S = 300; /* an error is of late for so long */
static const double DEFAULT_PERIOD_S = 10;
static const double SPARE_S = 2; /* beyond the period before it counts as silent */

tiny_top_server *tiny_top_server_new(const char *endpoint) {
  tiny_top_server *server = calloc(1, sizeof *server);
  if (!server) return NULL;
  server->endpoint = endpoint;
  server->since_ns = uv_hrtime();
  return server;
}

void tiny_top_server_free(tiny_top_server *server) {
  for (int i = 0; i < server->summary_count; i++) {
    free(server->summaries[i].time);
    free(server->summaries[i].text);
  }
  json_decref(server->info);
  json_decref(server->conf);
  free(server->topic);
  free(server);
}

double tiny_top_server_number(const tiny_top_server *server, const char *key) {
  return json_number_value(json_object_get(server->info, key));
}

const char *tiny_top_server_text(const tiny_top_server *server, const char *key) {
  return json_string_value(json_object_get(server->info, key));
}

static void series_add(tiny_series *series, double value) {
  if (series->count == TINY_TOP_POINTS)
    memmove(series->values, series->values + 1, --series->count * sizeof *series->values);
  series->values[series->count++] = value;
}

static void forget_oldest_summary(tiny_top_server *server) {
  free(server->summaries[0].time);
  free(server->summaries[0].text);
  memmove(server->summaries, server->summaries + 1,
          --server->summary_count * sizeof *server->summaries);
}

/* A summary is another one when its time or its text is. */
static void note_summary(tiny_top_server *server) {
  const char *time = tiny_top_server_text(server, "last_summary_time");
  const char *text = tiny_top_server_text(server, "last_summary");
  tiny_summary *last = server->summaries + server->summary_count - 1;
  if (!time || !text) return;
  if (server->summary_count > 0 && strcmp(last->time, time) == 0 && strcmp(last->text, text) == 0)
    return;
  if (server->summary_count == TINY_TOP_SUMMARIES) forget_oldest_summary(server);
  tiny_summary fresh = {strdup(time), strdup(text)};
  if (fresh.time && fresh.text)
    server->summaries[server->summary_count++] = fresh;
  else
    free(fresh.time), free(fresh.text);
}

static double value_of(const json_t *info, const char *key) {
  return json_number_value(json_object_get(info, key));
}

/* Both by the server's own clock, so that a late message shows no peak. */
static void note_cpu(tiny_top_server *server, const json_t *before) {
  double wall = value_of(server->info, "uptime") - value_of(before, "uptime");
  double used = value_of(server->info, "cpu_seconds") - value_of(before, "cpu_seconds");
  if (!before || wall < 0.01 || used < 0) return;
  server->cpu_percent = 100 * used / wall;
  series_add(&server->cpu, server->cpu_percent);
}

static bool is_same_process(const json_t *a, const json_t *b) {
  return json_equal(json_object_get(a, "pid"), json_object_get(b, "pid")) &&
         json_equal(json_object_get(a, "start_time"), json_object_get(b, "start_time"));
}

void tiny_top_server_take(tiny_top_server *server, json_t *info, json_t *conf, uint64_t seq) {
  json_t *before = server->info, *old_conf = server->conf;
  bool same = before && is_same_process(before, info);
  server->info = info;
  server->conf = conf;
  server->heard_ns = uv_hrtime();
  if (same && seq > server->seq) server->missed += seq - server->seq - 1;
  server->seq = seq;
  series_add(&server->lag, value_of(info, "loop_lag_ms"));
  series_add(&server->heap, value_of(info, "lua_heap_bytes"));
  if (same) note_cpu(server, before);
  note_summary(server);
  json_decref(before);
  json_decref(old_conf);
}

double tiny_top_server_silence(const tiny_top_server *server) {
  uint64_t since = server->heard_ns ? server->heard_ns : server->since_ns;
  return (double)(uv_hrtime() - since) / 1e9;
}

static bool is_silent(const tiny_top_server *server) {
  double period = json_number_value(json_object_get(server->conf, "svr.monitor.timer"));
  if (!(period > 0)) period = DEFAULT_PERIOD_S;
  return tiny_top_server_silence(server) > 2 * period + SPARE_S;
}

const char *tiny_top_server_state(const tiny_top_server *server) {
  const char *state = tiny_top_server_text(server, "state");
  bool closing = state && strcmp(state, "closing") == 0;
  if (!server->heard_ns) return is_silent(server) ? "silent" : "waiting";
  if (closing && tiny_top_server_silence(server) > SPARE_S) return "closed";
  if (is_silent(server)) return "silent";
  return state ? state : "?";
}

static time_t time_of(const tiny_top_server *server, const char *key) {
  struct tm local = {.tm_isdst = -1};
  const char *text = tiny_top_server_text(server, key);
  return text && strptime(text, "%Y/%m/%d %H:%M:%S", &local) ? mktime(&local) : 0;
}

/* By the server's own clock: ours may be another one. */
static bool erred_of_late(const tiny_top_server *server) {
  time_t erred = time_of(server, "last_error_time"), started = time_of(server, "start_time");
  double now = (double)started + tiny_top_server_number(server, "uptime");
  return erred != 0 && now - (double)erred < FRESH_S;
}

tiny_mood tiny_top_server_mood(const tiny_top_server *server) {
  const char *state = tiny_top_server_state(server);
  if (strcmp(state, "hung") == 0) return TINY_MOOD_HUNG;
  if (strcmp(state, "silent") == 0) return TINY_MOOD_SILENT;
  if (strcmp(state, "running") != 0) return TINY_MOOD_BUSY;
  return erred_of_late(server) ? TINY_MOOD_ERROR : TINY_MOOD_FINE;
}

const char *tiny_top_server_name(const tiny_top_server *server) {
  const char *name = tiny_top_server_text(server, "name");
  return name ? name : server->endpoint;
}
