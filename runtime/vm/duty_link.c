/* SPDX-License-Identifier: MIT
 * duty_link.c -- what the loop thread and the election, on the control thread, tell each other. */
#include "duty_parts.h"
#include "election_text.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- to the loop thread (called on the control thread) --------------------- */

static void post_call(tiny_duty *d, void (*call)(tiny_ask *ask)) {
  tiny_inbox_call(d->runtime->inbox, call, d);
}

static void on_elected(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  d->token = atomic_load(&d->new_token);
  d->elected = true;
  tiny_ask_done(ask, true, "");
}

static void elected(void *data, uint64_t token) {
  tiny_duty *d = data;
  atomic_store(&d->new_token, token);
  post_call(d, on_elected);
}

static void on_deposed(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  if (!d->deposed) d->deposed = atomic_load(&d->new_reason);
  tiny_ask_done(ask, true, "");
}

static void deposed(void *data, const char *reason) {
  tiny_duty *d = data;
  atomic_store(&d->new_reason, reason);
  post_call(d, on_deposed);
  if (d->store) tiny_store_stop(d->store); /* the loop thread knows why by then */
}

static void on_sign_of_life(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  atomic_store(&d->seen_ns, tiny_talk_now());
  atomic_store(&d->asked, false);
  tiny_ask_done(ask, true, "");
}

static uint64_t silence_ns(void *data) {
  tiny_duty *d = data;
  if (atomic_load(&d->asked)) return tiny_talk_now() - atomic_load(&d->seen_ns);
  atomic_store(&d->asked, true);
  post_call(d, on_sign_of_life);
  return 0;
}

static void silent(void *data) {
  tiny_duty *d = data;
  char text[8192];
  bool runs = tiny_hung_look(d->runtime, text, sizeof text);
  tiny_warn(d->runtime->log, "the loop is silent, so etcd is told nothing more: %s",
            runs ? text : "no Lua runs");
}

static void stuck(void *data) {
  tiny_duty *d = data;
  tiny_control_end(d->runtime->control, TINY_EXIT_HUNG,
                   "no longer the active, and the loop does not come back: ended by force");
}

static bool led_by_another(const tiny_duty *d, const json_t *list) {
  size_t i;
  const json_t *member;
  json_array_foreach(list, i, member) {
    bool active = strcmp(json_string_value(json_object_get(member, "role")), "active") == 0;
    if (active && !tiny_election_same(member, d->identity)) return true;
  }
  return false;
}

static void members(void *data, json_t *list) {
  tiny_duty *d = data;
  if (led_by_another(d, list)) atomic_store(&d->was_led, true);
  tiny_duty_conf_members(d, list);
  tiny_state_members(&d->runtime->state, list);
}

/* -- to the control thread ------------------------------------------------- */

typedef struct errand {
  tiny_errand errand;
  tiny_duty *duty;
  tiny_conf *conf;
} errand;

static void tell(tiny_duty *d, void (*run)(tiny_errand *), const tiny_conf *conf) {
  errand *e = calloc(1, sizeof *e);
  if (!e) return;
  *e = (errand){{run, NULL}, d, tiny_conf_hold((tiny_conf *)(uintptr_t)conf)};
  tiny_control_send(d->runtime->control, &e->errand);
}

tiny_duty *tiny_duty_taken(tiny_errand *sent) {
  tiny_duty *d = ((errand *)sent)->duty;
  tiny_conf_drop(((errand *)sent)->conf);
  free(sent);
  return d;
}

static char *file_of(const tiny_conf *conf, const json_t *tls, const char *field) {
  const char *path = json_string_value(json_object_get(tls, field));
  return path ? tiny_conf_absolute(conf, path) : NULL;
}

/* The paths are for free(). */
static tiny_etcd_settings settings_of(const tiny_conf *conf) {
  const json_t *tls = tiny_conf_json(conf, "svr.cluster.tls");
  const json_t *user = tiny_conf_json(conf, "svr.cluster.user");
  return (tiny_etcd_settings){
      .endpoints = tiny_conf_json(conf, "svr.cluster.etcd"),
      .ca = file_of(conf, tls, "ca"),
      .cert = file_of(conf, tls, "cert"),
      .key = file_of(conf, tls, "key"),
      .user = json_string_value(json_object_get(user, "name")),
      .password = json_string_value(json_object_get(user, "password")),
      .connect_ms = tiny_conf_ms(conf, "svr.cluster.ttl") / 6,
  };
}

static void free_settings(const tiny_etcd_settings *settings) {
  free((char *)(uintptr_t)settings->ca);
  free((char *)(uintptr_t)settings->cert);
  free((char *)(uintptr_t)settings->key);
}

static void open_store(tiny_duty *d, const tiny_etcd_settings *settings) {
  d->store = tiny_store_open(tiny_control_loop(d->runtime->control), d->runtime->log, d->plugin,
                             settings, d->name);
}

static void open_election(tiny_duty *d, const tiny_etcd_settings *settings, uint64_t ttl_ms) {
  tiny_election_parts parts = {
      .loop = tiny_control_loop(d->runtime->control),
      .log = d->runtime->log,
      .plugin = d->plugin,
      .lead = &d->lead,
      .name = d->name,
      .identity = d->identity,
      .elected = elected,
      .deposed = deposed,
      .stuck = stuck,
      .silence_ns = silence_ns,
      .silent = silent,
      .members = members,
      .data = d,
  };
  d->election = tiny_election_open(&parts, settings, ttl_ms);
  if (!d->election) tiny_err(d->runtime->log, "no memory to take part in an election");
}

static void on_settings(tiny_errand *sent) {
  tiny_duty *d = ((errand *)sent)->duty;
  const tiny_conf *conf = ((errand *)sent)->conf;
  tiny_etcd_settings settings = settings_of(conf);
  uint64_t ttl_ms = tiny_conf_ms(conf, "svr.cluster.ttl");
  if (d->election)
    tiny_election_settle(d->election, &settings, ttl_ms);
  else
    open_election(d, &settings, ttl_ms);
  if (d->store)
    tiny_store_settle(d->store, &settings);
  else
    open_store(d, &settings);
  tiny_duty_conf_settle(d, conf, &settings);
  free_settings(&settings);
  tiny_duty_taken(sent);
}

static void on_applied(tiny_errand *sent) {
  tiny_duty_conf_applied(((errand *)sent)->duty, ((errand *)sent)->conf);
  tiny_duty_taken(sent);
}

static void on_stand(tiny_errand *sent) {
  tiny_duty *d = tiny_duty_taken(sent);
  if (d->election) tiny_election_stand(d->election);
}

static void on_step_down(tiny_errand *sent) {
  tiny_duty *d = tiny_duty_taken(sent);
  if (d->election) tiny_election_step_down(d->election);
}

/* -- leaving --------------------------------------------------------------- */

static void on_resigned(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  d->resigned = true;
  tiny_ask_done(ask, true, "");
}

static void resigned(void *data) { post_call(data, on_resigned); }

static void resign(tiny_errand *sent) {
  tiny_duty *d = tiny_duty_taken(sent);
  if (d->election)
    tiny_election_resign(d->election, resigned, d);
  else
    resigned(d);
}

static void close_election(tiny_errand *sent) {
  tiny_duty *d = tiny_duty_taken(sent);
  if (d->election) tiny_election_close(d->election);
  if (d->store) tiny_store_close(d->store);
  tiny_duty_conf_close(d);
  d->election = NULL;
  d->store = NULL;
}

/* -- errands --------------------------------------------------------------- */

void tiny_duty_send_settings(tiny_duty *d, const tiny_conf *conf) { tell(d, on_settings, conf); }
void tiny_duty_send_applied(tiny_duty *d, const tiny_conf *conf) { tell(d, on_applied, conf); }
void tiny_duty_send_stand(tiny_duty *d) { tell(d, on_stand, NULL); }
void tiny_duty_send_step_down(tiny_duty *d) { tell(d, on_step_down, NULL); }
void tiny_duty_send_resign(tiny_duty *d) { tell(d, resign, NULL); }
void tiny_duty_send_close(tiny_duty *d) { tell(d, close_election, NULL); }
