/* SPDX-License-Identifier: MIT
 * duty_conf.c -- the configuration that the members of a cluster share: from etcd to the loop thread, and
 * when to reload. */
#include "duty_parts.h"
#include "runtime.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *version_of(const json_t *shared) {
  return json_string_value(json_object_get(shared, "version"));
}

/* -- to the loop thread (called on the control thread) --------------------- */

typedef struct letter {
  tiny_errand errand; /* on the way back */
  tiny_duty *duty;
  json_t *shared;
  bool ok;
  char why[512];
} letter;

static void on_letter(tiny_ask *ask) {
  letter *l = ask->data;
  json_decref(l->duty->shared);
  l->duty->shared = l->shared;
  free(l);
  tiny_ask_done(ask, true, "");
}

/* The inbox keeps the order: a reload that is asked for next finds it. */
static void changed(void *data, json_t *shared) {
  tiny_duty *d = data;
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  letter *l = calloc(1, sizeof *l);
  if (!ask || !l) {
    json_decref(shared);
    free(ask);
    free(l);
    return;
  }
  char *version = strdup(version_of(shared));
  l->duty = d;
  l->shared = shared;
  ask->call = on_letter;
  ask->data = l;
  tiny_inbox_post(d->runtime->inbox, ask);
  if (version) tiny_rollout_found(d->rollout, version);
  free(version);
}

/* Back on the control thread. */
static void on_outcome(tiny_errand *sent) {
  letter *l = (letter *)sent;
  if (l->duty->rollout) tiny_rollout_reloaded(l->duty->rollout, l->ok, l->why);
  free(l);
}

/* -- on the loop thread: the outcome of a reload --------------------------- */

static void on_answer(tiny_ask *ask, bool ok, const char *text) {
  letter *l = ask->data;
  tiny_control *control = l->duty->runtime->control;
  l->errand.run = on_outcome;
  l->ok = ok;
  snprintf(l->why, sizeof l->why, "%s", text ? text : "");
  if (control)
    tiny_control_send(control, &l->errand);
  else
    free(l); /* all is over */
}

/* -- the control thread's -------------------------------------------------- */

static const char *lease(void *data) {
  const tiny_duty *d = data;
  return d->election ? tiny_election_lease(d->election) : "";
}

static void reload(void *data) {
  tiny_duty *d = data;
  tiny_ask *ask = tiny_ask_new(TINY_ASK_RELOAD);
  letter *l = calloc(1, sizeof *l);
  if (!ask || !l) {
    free(ask);
    free(l);
    tiny_rollout_reloaded(d->rollout, false, "not enough memory");
    return;
  }
  l->duty = d;
  ask->answer = on_answer;
  ask->data = l;
  tiny_inbox_post(d->runtime->inbox, ask);
}

static void refused(void *data, const char *version, const char *why) {
  tiny_duty *d = data;
  json_object_set_new(d->identity, "refused", json_string(version));
  json_object_set_new(d->identity, "why", tiny_utf8_json(why));
  tiny_election_introduce(d->election);
}

static void show(void *data, json_t *shown) {
  tiny_duty *d = data;
  tiny_state_shared(&d->runtime->state, shown);
}

static void open_rollout(tiny_duty *d, const tiny_etcd_settings *settings) {
  tiny_rollout_parts parts = {
      .loop = tiny_control_loop(d->runtime->control),
      .log = d->runtime->log,
      .plugin = d->plugin,
      .name = d->name,
      .identity = d->identity,
      .lease = lease,
      .reload = reload,
      .refused = refused,
      .show = show,
      .data = d,
  };
  d->rollout = tiny_rollout_open(&parts, settings);
}

static void open_sharing(tiny_duty *d, const tiny_etcd_settings *settings, const char *prefix) {
  open_rollout(d, settings);
  if (d->rollout)
    d->sharing = tiny_shared_conf_open(tiny_control_loop(d->runtime->control), d->runtime->log,
                                       d->plugin, settings, prefix, changed, d);
  if (!d->sharing) tiny_err(d->runtime->log, "no memory to share a configuration");
}

void tiny_duty_conf_settle(tiny_duty *d, const tiny_conf *conf,
                           const tiny_etcd_settings *settings) {
  const char *prefix = tiny_conf_string(conf, "svr.cluster.conf_prefix");
  if (!prefix) return;
  if (!d->sharing) {
    open_sharing(d, settings, prefix);
    return;
  }
  tiny_shared_conf_settle(d->sharing, settings);
  tiny_rollout_settle(d->rollout, settings);
}

void tiny_duty_conf_applied(tiny_duty *d, const tiny_conf *conf) {
  const char *version = version_of(tiny_conf_shared(conf));
  const char *known = json_string_value(json_object_get(d->identity, "conf"));
  bool refused = json_object_get(d->identity, "refused") != NULL;
  if (!version || !d->sharing || !d->election) return;
  if (known && strcmp(known, version) == 0 && !refused) return;
  json_object_set_new(d->identity, "conf", json_string(version));
  json_object_del(d->identity, "refused");
  json_object_del(d->identity, "why");
  tiny_election_introduce(d->election);
  tiny_rollout_applied(d->rollout, version);
}

void tiny_duty_conf_members(tiny_duty *d, const json_t *members) {
  if (d->sharing) tiny_rollout_members(d->rollout, members);
}

void tiny_duty_conf_close(tiny_duty *d) {
  if (d->sharing) tiny_shared_conf_close(d->sharing);
  if (d->rollout) tiny_rollout_close(d->rollout);
  d->sharing = NULL;
  d->rollout = NULL;
}
