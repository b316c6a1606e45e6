/* SPDX-License-Identifier: MIT
 * duty.c -- standing by, taking up, laying down.
 *
 *     stand -> (elected) restore -> on_active, on_start -> serve       these: standing.c, entrance.c
 *       ^                                                   |
 *       +--- load <- on_standby <- save <- on_close <- quiet + (deposed) */
#include "duty.h"

#include "duty_parts.h"
#include "plugin.h"
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHORT_TTL_S = 5, RESIGN_WAIT_MS = 1500 };

/* -- conf ------------------------------------------------------------------ */

bool tiny_duty_clustered(const tiny_conf *conf) {
  return tiny_conf_json(conf, "svr.cluster.etcd") != NULL;
}

int tiny_duty_check(const tiny_conf *old, const tiny_conf *new, char *why, size_t why_size) {
  const char *what = NULL;
  if (!tiny_conf_same(old, new, "svr.cluster.conf_prefix"))
    what = "svr.cluster.conf_prefix has changed";
  if (tiny_duty_clustered(old) != tiny_duty_clustered(new))
    what = "svr.cluster.etcd has come or gone";
  if (what) snprintf(why, why_size, "%s: %s: that needs a restart", tiny_conf_file(new), what);
  return what ? -1 : 0;
}

static void warn_of_ttl(const tiny *rt, const tiny_conf *conf) {
  if (tiny_conf_number(conf, "svr.cluster.ttl") < SHORT_TTL_S)
    tiny_warn(rt->log,
              "svr.cluster.ttl is below %d s: when etcd itself changes its leader, the "
              "active may lose its place without need",
              SHORT_TTL_S);
}

static json_t *identity(const tiny_conf *conf) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return json_pack("{s:s,s:s,s:i}", "name", tiny_conf_string(conf, "svr.name"), "host", host, "pid",
                   (int)getpid());
}

tiny_duty *tiny_duty_open(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  const tiny_etcd_plugin *plugin =
      tiny_plugin_table("etcd", "tiny_etcd_plugin_table", why, why_size);
  tiny_duty *d = plugin ? calloc(1, sizeof *d) : NULL;
  if (!plugin) return NULL;
  snprintf(why, why_size, "not enough memory");
  if (!d) return NULL;
  d->runtime = rt;
  d->plugin = plugin;
  d->name = strdup(tiny_conf_string(conf, "svr.cluster.name"));
  d->identity = identity(conf);
  if (!d->name || !d->identity) {
    tiny_duty_free(d);
    return NULL;
  }
  warn_of_ttl(rt, conf);
  tiny_duty_send_settings(d, conf);
  return d;
}

/* Who has not got what all share is no candidate yet. */
static void offer(tiny_duty *d, const tiny_conf *conf) {
  if (!tiny_conf_string(conf, "svr.cluster.conf_prefix") || tiny_conf_shared(conf))
    tiny_duty_send_stand(d);
}

void tiny_duty_follow(tiny_duty *d, const tiny_conf *conf) {
  static const char *const keys[] = {"svr.cluster.etcd", "svr.cluster.ttl", "svr.cluster.tls",
                                     "svr.cluster.user"};
  tiny_conf *before = d ? tiny_state_hold_conf(&d->runtime->state) : NULL;
  bool changed = false;
  for (size_t i = 0; before && i < sizeof keys / sizeof *keys; i++)
    changed = changed || !tiny_conf_same(before, conf, keys[i]);
  if (changed) warn_of_ttl(d->runtime, conf);
  if (changed) tiny_duty_send_settings(d, conf);
  if (d) tiny_duty_send_applied(d, conf);
  if (tiny_duty_standing(d)) offer(d, conf);
  tiny_conf_drop(before);
}

json_t *tiny_duty_shared(tiny_duty *d) {
  if (!d || d->term != TINY_IDLE) return d ? json_deep_copy(d->shared) : NULL;
  tiny_conf *last = tiny_state_hold_conf(&d->runtime->state);
  json_t *shared = last ? json_deep_copy(tiny_conf_shared(last)) : NULL;
  tiny_conf_drop(last);
  return shared;
}

/* -- terms ----------------------------------------------------------------- */

void tiny_duty_acts(tiny_duty *d, bool now) {
  atomic_store(&d->lead.acting, now);
  tiny_state_role(&d->runtime->state, now ? "active" : "standby", now ? d->token : 0);
}

void tiny_duty_stand(tiny_duty *d) {
  if (!d) return;
  d->term = TINY_WAITING;
  d->token = 0;
  tiny_duty_acts(d, false);
  offer(d, d->runtime->current->conf);
}

bool tiny_duty_standing(const tiny_duty *d) { return d && d->term == TINY_WAITING; }

bool tiny_duty_serves(const tiny_duty *d) {
  return d && (d->term == TINY_SERVING || d->term == TINY_RISING) && !d->deposed;
}

uint64_t tiny_duty_token(const tiny_duty *d) { return d ? d->token : 0; }

static bool in_time(const tiny_duty *d) { return tiny_talk_now() < atomic_load(&d->lead.until_ns); }

static void rise(tiny_duty *d) {
  tiny *rt = d->runtime;
  d->elected = false;
  d->term = TINY_RISING;
  tiny_duty_acts(d, true);
  if (rt->fresh && atomic_load(&d->was_led)) {
    tiny_info(rt->log, "--fresh does not count: another was the active in the meantime");
    rt->fresh = false;
  }
  tiny_info(rt->log, "elected: token %llu", (unsigned long long)d->token);
  tiny_change_take_up(rt);
}

void tiny_duty_serve(tiny_duty *d) {
  if (d && d->term == TINY_RISING) d->term = TINY_SERVING;
}

void tiny_duty_forget(tiny_duty *d) {
  d->elected = false;
  d->deposed = NULL;
  d->token = 0;
  d->term = TINY_IDLE;
  tiny_duty_acts(d, false);
}

/* A candidate that still loads is given up; of a reload that is further on the control thread
 * awaits the end for a moment. */
static void act_on_deposed(tiny_duty *d) {
  tiny *rt = d->runtime;
  if (d->term == TINY_WAITING) {
    d->deposed = NULL;
    d->elected = false;
    tiny_duty_stand(d);
  } else if (d->term == TINY_SERVING && rt->closing.begun) {
    tiny_duty_acts(d, false);
  } else if (d->term == TINY_SERVING) {
    if (rt->loading) tiny_change_abandon(rt, "the server is not the active any more");
    if (!rt->stage) tiny_duty_fall(d);
  }
}

void tiny_duty_turn(tiny_duty *d) {
  if (!d) return;
  if (d->deposed) act_on_deposed(d);
  if (d->elected && d->term == TINY_WAITING && !d->runtime->stage && !d->runtime->closing.wanted &&
      in_time(d))
    rise(d);
}

/* Whatever is under way, no task goes on as if nothing had happened. */
bool tiny_duty_expired(tiny_duty *d) {
  if (!d || (d->term != TINY_SERVING && d->term != TINY_RISING) || d->deposed || in_time(d))
    return false;
  d->deposed = "timeout";
  tiny_duty_send_step_down(d);
  if (d->term == TINY_SERVING)
    act_on_deposed(d);
  else
    tiny_duty_cut(d->runtime->change.to, true);
  return true;
}

bool tiny_duty_withdrawn(tiny_duty *d) {
  if (!d || d->term != TINY_RISING || !d->deposed) return false;
  tiny_warn(d->runtime->log, "no longer the active (%s) before it had started", d->deposed);
  tiny_duty_forget(d);
  return true;
}

/* -- leaving --------------------------------------------------------------- */

void tiny_duty_resign(tiny_duty *d) {
  if (!d) return;
  tiny *rt = d->runtime;
  uint64_t deadline = tiny_timers_now() + RESIGN_WAIT_MS * 1000000ull;
  tiny_duty_acts(d, false);
  tiny_duty_send_resign(d);
  tiny_stage(rt, NULL, RESIGN_WAIT_MS);
  while (!d->resigned && tiny_timers_now() < deadline) uv_run(&rt->loop, UV_RUN_ONCE);
  tiny_stage(rt, NULL, 0);
  tiny_duty_send_close(d);
}

void tiny_duty_free(tiny_duty *d) {
  if (!d) return;
  free(d->name);
  json_decref(d->identity);
  json_decref(d->shared);
  free(d);
}
