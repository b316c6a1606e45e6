/* SPDX-License-Identifier: MIT
 * state.c -- keeping what a runtime shows, and putting it into one JSON object. */
#include "state.h"

#include "clock.h"
#include "utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void tiny_state_init(tiny_state *state, tiny_log *log) {
  memset(state, 0, sizeof *state);
  state->log = log;
  pthread_mutex_init(&state->lock, NULL);
  state->start_time = time(NULL);
  state->start_ns = tiny_clock_ns(CLOCK_MONOTONIC);
}

void tiny_state_fini(tiny_state *state) {
  tiny_conf_drop(state->conf);
  free(state->last_error);
  free(state->last_trace);
  free(state->last_summary);
  free(state->last_reload_result);
  free(state->hung_stack);
  json_decref(state->app);
  json_decref(state->members);
  json_decref(state->shared);
  pthread_mutex_destroy(&state->lock);
}

void tiny_state_watch(tiny_state *state, tiny_told_fn told, void *data) {
  pthread_mutex_lock(&state->lock);
  state->told = told;
  state->told_data = data;
  pthread_mutex_unlock(&state->lock);
}

/* Under the lock. */
static void tell(tiny_state *state, tiny_news news) {
  if (state->told) state->told(state->told_data, news);
}

void tiny_state_enter(tiny_state *state, tiny_phase phase) {
  int old = atomic_exchange(&state->phase, (int)phase);
  bool of_reload = phase == TINY_RELOADING || (phase == TINY_RUNNING && old == TINY_RELOADING);
  if (phase == (tiny_phase)old || of_reload) return;
  pthread_mutex_lock(&state->lock);
  tell(state, TINY_NEWS_STATE);
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_role(tiny_state *state, const char *role, uint64_t token) {
  pthread_mutex_lock(&state->lock);
  bool news = state->role != role || state->token != token;
  state->role = role;
  state->token = token;
  if (news) tell(state, TINY_NEWS_STATE);
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_members(tiny_state *state, json_t *members) {
  pthread_mutex_lock(&state->lock);
  json_decref(state->members);
  state->members = members;
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_shared(tiny_state *state, json_t *shared) {
  pthread_mutex_lock(&state->lock);
  json_decref(state->shared);
  state->shared = shared;
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_conf(tiny_state *state, tiny_conf *conf) {
  pthread_mutex_lock(&state->lock);
  tiny_conf *old = state->conf;
  state->conf = tiny_conf_hold(conf);
  tell(state, TINY_NEWS_CONF);
  pthread_mutex_unlock(&state->lock);
  tiny_conf_drop(old);
}

tiny_conf *tiny_state_hold_conf(tiny_state *state) {
  pthread_mutex_lock(&state->lock);
  tiny_conf *conf = tiny_conf_hold(state->conf);
  pthread_mutex_unlock(&state->lock);
  return conf;
}

/* What is longer is cut: it goes to all who watch, with every message. */
enum { LONGEST_TEXT = 16 * 1024 };

/* Under the lock. */
static void replace(char **text, const char *by) {
  free(*text);
  *text = by ? strndup(by, LONGEST_TEXT) : NULL;
}

void tiny_state_error(tiny_state *state, const char *error, const char *trace) {
  pthread_mutex_lock(&state->lock);
  replace(&state->last_error, error);
  replace(&state->last_trace, trace);
  state->last_error_time = time(NULL);
  state->errors++;
  tell(state, TINY_NEWS_ERROR);
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_summary(tiny_state *state, const char *summary) {
  pthread_mutex_lock(&state->lock);
  replace(&state->last_summary, summary);
  state->last_summary_time = time(NULL);
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_reloaded(tiny_state *state, bool ok, const char *result) {
  pthread_mutex_lock(&state->lock);
  replace(&state->last_reload_result, result);
  if (ok) state->last_reload_time = time(NULL);
  tell(state, TINY_NEWS_STATE);
  pthread_mutex_unlock(&state->lock);
}

void tiny_state_hung(tiny_state *state, uint64_t since, const char *stack) {
  pthread_mutex_lock(&state->lock);
  replace(&state->hung_stack, stack);
  state->hung_since = since;
  tell(state, TINY_NEWS_STATE);
  pthread_mutex_unlock(&state->lock);
}

/* Whole numbers are shown as such, so that a counter does not read "3.0". */
static bool is_whole(double value) {
  return value == floor(value) && fabs(value) < 9007199254740992.0;
}

/* Returns 0, or -1 when 'figure' is of the other kind, or NULL. */
static int change(json_t *figure, double value) {
  if (is_whole(value)) return json_integer_set(figure, (json_int_t)value);
  return json_real_set(figure, value);
}

/* A server may count each request: what is there already is changed in place. */
void tiny_state_app(tiny_state *state, const char *name, double value, bool add) {
  pthread_mutex_lock(&state->lock);
  if (!state->app) state->app = json_object();
  json_t *figure = json_object_get(state->app, name);
  if (add) value += json_number_value(figure);
  if (change(figure, value) != 0) {
    figure = is_whole(value) ? json_integer((json_int_t)value) : json_real(value);
    json_object_set_new(state->app, name, figure);
  }
  pthread_mutex_unlock(&state->lock);
}

bool tiny_state_is_hung(tiny_state *state) {
  pthread_mutex_lock(&state->lock);
  bool hung = state->hung_since != 0;
  pthread_mutex_unlock(&state->lock);
  return hung;
}

/* Local time as people read it; null when it never happened. */
static json_t *point(time_t when) {
  char text[32];
  struct tm local;
  if (when == 0 || !localtime_r(&when, &local)) return json_null();
  strftime(text, sizeof text, "%Y/%m/%d %H:%M:%S", &local);
  return json_string(text);
}

static json_t *seconds(uint64_t ns) { return json_real((double)ns / 1e9); }

static json_t *count(uint64_t n) { return json_integer((json_int_t)n); }

static json_t *host(void) {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return tiny_utf8_json(name);
}

static uint64_t resident_bytes(void) {
  unsigned long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "re");
  if (!statm) return 0;
  if (fscanf(statm, "%*u %lu", &pages) != 1) pages = 0;
  fclose(statm);
  return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

typedef struct lag {
  uint64_t max_ns, sum_ns, count;
} lag;

/* A turn that ends between two of the exchanges is split between two messages: no harm. */
static lag read_lag(tiny_state *state, bool take) {
  if (take)
    return (lag){atomic_exchange(&state->lag_max_ns, 0), atomic_exchange(&state->lag_sum_ns, 0),
                 atomic_exchange(&state->lag_count, 0)};
  return (lag){atomic_load(&state->lag_max_ns), atomic_load(&state->lag_sum_ns),
               atomic_load(&state->lag_count)};
}

/* The turn that has not ended yet counts as one: it may be the worst. */
static void add_present_turn(tiny_state *state, lag *l, uint64_t now) {
  uint64_t since = atomic_load(&state->busy_since);
  if (since == 0 || now <= since) return;
  l->sum_ns += now - since;
  l->count++;
  if (now - since > l->max_ns) l->max_ns = now - since;
}

static void add_lag(tiny_state *state, json_t *info, uint64_t now, bool take) {
  lag l = read_lag(state, take);
  add_present_turn(state, &l, now);
  double mean_ns = l.count ? (double)l.sum_ns / (double)l.count : 0;
  json_object_set_new(info, "loop_lag_ms", json_real((double)l.max_ns / 1e6));
  json_object_set_new(info, "loop_lag_mean_ms", json_real(mean_ns / 1e6));
}

static void add_identity(tiny_state *state, json_t *info, uint64_t now) {
  const char *name = state->conf ? tiny_conf_string(state->conf, "svr.name") : NULL;
  json_object_set_new(info, "name", tiny_utf8_json(name));
  json_object_set_new(info, "pid", count((uint64_t)getpid()));
  json_object_set_new(info, "host", host());
  json_object_set_new(info, "role", state->role ? json_string(state->role) : json_null());
  json_object_set_new(info, "token", state->token ? count(state->token) : json_null());
  json_object_set_new(info, "members",
                      state->members ? json_deep_copy(state->members) : json_null());
  json_object_set_new(info, "shared_conf",
                      state->shared ? json_deep_copy(state->shared) : json_null());
  json_object_set_new(info, "start_time", point(state->start_time));
  json_object_set_new(info, "uptime", seconds(now - state->start_ns));
}

static void add_history(tiny_state *state, json_t *info) {
  json_object_set_new(info, "last_error", tiny_utf8_json(state->last_error));
  json_object_set_new(info, "last_error_time", point(state->last_error_time));
  json_object_set_new(info, "last_trace", tiny_utf8_json(state->last_trace));
  json_object_set_new(info, "last_summary", tiny_utf8_json(state->last_summary));
  json_object_set_new(info, "last_summary_time", point(state->last_summary_time));
  json_object_set_new(info, "last_reload_time", point(state->last_reload_time));
  json_object_set_new(info, "last_reload_result", tiny_utf8_json(state->last_reload_result));
}

static void add_hang(tiny_state *state, json_t *info, uint64_t now) {
  static const char *const phases[] = {"starting", "running", "reloading", "standby", "closing"};
  uint64_t since = state->hung_since;
  const char *phase = since ? "hung" : phases[atomic_load(&state->phase)];
  json_object_set_new(info, "state", json_string(phase));
  json_object_set_new(info, "hung_for", seconds(since && now > since ? now - since : 0));
  json_object_set_new(info, "hung_stack", tiny_utf8_json(state->hung_stack));
}

static void add_counts(tiny_state *state, json_t *info) {
  tiny_log_counts log = {0, 0};
  if (state->log) log = tiny_log_count(state->log);
  json_object_set_new(info, "generation", count(atomic_load(&state->generation)));
  json_object_set_new(info, "generations_alive", count(atomic_load(&state->generations_alive)));
  json_object_set_new(info, "threads_lost", count(atomic_load(&state->threads_lost)));
  json_object_set_new(info, "lua_heap_bytes", count(atomic_load(&state->lua_heap)));
  json_object_set_new(info, "rss_bytes", count(resident_bytes()));
  json_object_set_new(info, "cpu_seconds", seconds(tiny_clock_ns(CLOCK_PROCESS_CPUTIME_ID)));
  json_object_set_new(info, "timers", count(atomic_load(&state->timers)));
  json_object_set_new(info, "tasks", count(atomic_load(&state->tasks)));
  json_object_set_new(info, "connections", count(atomic_load(&state->connections)));
  json_object_set_new(info, "errors", count(atomic_load(&state->errors)));
  json_object_set_new(info, "log_lines", count(log.lines));
  json_object_set_new(info, "log_dropped", count(log.dropped));
}

void tiny_state_draining(tiny_state *state, const tiny_draining *list, unsigned size) {
  unsigned shown = size < TINY_DRAINING_SHOWN ? size : TINY_DRAINING_SHOWN;
  pthread_mutex_lock(&state->lock);
  memcpy(state->draining, list, shown * sizeof *list);
  state->draining_count = shown;
  pthread_mutex_unlock(&state->lock);
}

static json_t *draining(const tiny_state *state) {
  json_t *list = json_array();
  for (unsigned i = 0; i < state->draining_count; i++) {
    const tiny_draining *d = &state->draining[i];
    json_array_append_new(list, json_pack("{sI si si si}", "generation", (json_int_t)d->number,
                                          "tasks", (int)d->tasks, "requests", (int)d->requests,
                                          "handles", (int)d->handles));
  }
  return list;
}

static json_t *make_info(tiny_state *state, bool take) {
  json_t *info = json_object();
  uint64_t now = tiny_clock_ns(CLOCK_MONOTONIC);
  if (!info) return NULL;
  pthread_mutex_lock(&state->lock);
  add_identity(state, info, now);
  add_hang(state, info, now);
  add_history(state, info);
  json_object_set_new(info, "draining", draining(state));
  json_object_set_new(info, "app", state->app ? json_deep_copy(state->app) : json_object());
  pthread_mutex_unlock(&state->lock);
  add_lag(state, info, now, take);
  add_counts(state, info);
  return info;
}

json_t *tiny_state_info(tiny_state *state) { return make_info(state, false); }

json_t *tiny_state_take_info(tiny_state *state) { return make_info(state, true); }
