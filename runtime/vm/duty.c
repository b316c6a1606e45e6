/* SPDX-License-Identifier: MIT
 * duty.c -- standing by, taking up, laying down.
 *
 *     stand -> (elected) restore -> on_active, on_start -> serve       these in change.c
 *       ^                                                   |
 *       +--- load <- on_standby <- save <- on_close <- quiet + (deposed) */
#include "duty.h"

#include "election.h"
#include "plugin.h"
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHORT_TTL_S = 5, RESIGN_WAIT_MS = 1500 };

typedef enum post { IDLE, STANDING, RISING, SERVING, FALLING } post;

struct tiny_duty {
  tiny *runtime;
  tiny_lead lead;
  const tiny_etcd_plugin *plugin;
  tiny_election *election; /* the control thread's */
  char *name;
  json_t *identity;

  /* The loop thread's. */
  post post;
  uint64_t token;
  bool elected;
  const char *deposed; /* why; NULL: not */
  bool resigned;

  /* From one to the other. */
  _Atomic uint64_t new_token;
  const char *_Atomic new_reason;
  _Atomic bool asked;       /* the loop thread has been asked for a sign of life */
  _Atomic uint64_t seen_ns; /* when it last gave one, by tiny_lead_now() */
};

/* -- to the loop thread (called on the control thread) --------------------- */

static void post_call(tiny_duty *d, void (*call)(tiny_ask *ask)) {
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  if (!ask) return;
  ask->call = call;
  ask->data = d;
  tiny_inbox_post(d->runtime->inbox, ask);
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
}

static void on_sign_of_life(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  atomic_store(&d->seen_ns, tiny_lead_now());
  atomic_store(&d->asked, false);
  tiny_ask_done(ask, true, "");
}

static uint64_t silence_ns(void *data) {
  tiny_duty *d = data;
  if (atomic_load(&d->asked)) return tiny_lead_now() - atomic_load(&d->seen_ns);
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

static void members(void *data, json_t *list) {
  tiny_duty *d = data;
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

static tiny_duty *taken(tiny_errand *sent) {
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
  free_settings(&settings);
  taken(sent);
}

static void on_stand(tiny_errand *sent) {
  tiny_duty *d = taken(sent);
  if (d->election) tiny_election_stand(d->election);
}

static void on_step_down(tiny_errand *sent) {
  tiny_duty *d = taken(sent);
  if (d->election) tiny_election_step_down(d->election);
}

/* -- conf ------------------------------------------------------------------ */

bool tiny_duty_clustered(const tiny_conf *conf) {
  return tiny_conf_json(conf, "svr.cluster.etcd") != NULL;
}

int tiny_duty_check(const tiny_conf *old, const tiny_conf *new, char *why, size_t why_size) {
  if (tiny_duty_clustered(old) == tiny_duty_clustered(new)) return 0;
  snprintf(why, why_size, "%s: svr.cluster.etcd has come or gone: that needs a restart",
           tiny_conf_file(new));
  return -1;
}

static bool same(const tiny_conf *a, const tiny_conf *b, const char *key) {
  const json_t *one = tiny_conf_json(a, key), *other = tiny_conf_json(b, key);
  return one == other || json_equal(one, other);
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
  tell(d, on_settings, conf);
  return d;
}

void tiny_duty_follow(tiny_duty *d, const tiny_conf *conf) {
  static const char *const keys[] = {"svr.cluster.etcd", "svr.cluster.ttl", "svr.cluster.tls",
                                     "svr.cluster.user"};
  tiny_conf *before = d ? tiny_state_hold_conf(&d->runtime->state) : NULL;
  bool changed = false;
  for (size_t i = 0; before && i < sizeof keys / sizeof *keys; i++)
    changed = changed || !same(before, conf, keys[i]);
  if (changed) warn_of_ttl(d->runtime, conf);
  if (changed) tell(d, on_settings, conf);
  tiny_conf_drop(before);
}

/* -- terms ----------------------------------------------------------------- */

static void acts(tiny_duty *d, bool now) { atomic_store(&d->lead.acting, now); }

static void show(const tiny_duty *d, const char *role) {
  tiny_state_role(&d->runtime->state, role, strcmp(role, "active") == 0 ? d->token : 0);
}

void tiny_duty_stand(tiny_duty *d) {
  if (!d) return;
  d->post = STANDING;
  d->token = 0;
  show(d, "standby");
  tell(d, on_stand, NULL);
}

bool tiny_duty_standing(const tiny_duty *d) { return d && d->post == STANDING; }

uint64_t tiny_duty_token(const tiny_duty *d) { return d ? d->token : 0; }

static bool in_time(const tiny_duty *d) { return tiny_lead_now() < atomic_load(&d->lead.until_ns); }

static void rise(tiny_duty *d) {
  tiny *rt = d->runtime;
  d->elected = false;
  d->post = RISING;
  acts(d, true);
  show(d, "active");
  tiny_info(rt->log, "elected: token %llu", (unsigned long long)d->token);
  tiny_change_take_up(rt);
}

void tiny_duty_serve(tiny_duty *d) {
  if (d && d->post == RISING) d->post = SERVING;
}

/* Tasks get tiny.cancelled, whether they wait or were about to go on. */
static void cut(tiny_generation *g, bool steps_too) {
  for (tiny_task *task = g->tasks; task; task = task->next) {
    if (task->ended || (task->kind == TINY_TASK_STEP && !steps_too)) continue;
    tiny_task_cancel(task);
    task->cut = true;
  }
}

static void forget(tiny_duty *d) {
  d->elected = false;
  d->deposed = NULL;
  d->token = 0;
  d->post = IDLE;
  acts(d, false);
  show(d, "standby");
}

/* Nothing of the old term is left: the next one begins in a new generation. */
static void begin_anew(tiny *rt) {
  tiny_generation *g = rt->current;
  tiny_stage(rt, NULL, 0);
  rt->current = NULL;
  tiny_retire(rt, g);
  forget(rt->duty);
  rt->change.wanted = true;
}

static void stage_on_standby(tiny *rt) {
  char why[TINY_WHY];
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  if (tiny_step_pending(rt))
    tiny_err(rt->log, "on_standby did not end within svr.reload_timeout");
  else if (rt->step_failed)
    tiny_step_why(rt, "on_standby", why, sizeof why);
  tiny_step_drop(rt);
  begin_anew(rt);
}

static void stage_save(tiny *rt) {
  if (tiny_saver_busy(rt->saver)) return;
  tiny_step_begin(rt, rt->current, "on_standby", rt->duty->deposed);
  tiny_stage(rt, stage_on_standby, tiny_conf_ms(rt->current->conf, "svr.reload_timeout"));
}

static void stage_on_close(tiny *rt) {
  char why[TINY_WHY];
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  if (tiny_step_pending(rt))
    tiny_err(rt->log, "on_close did not end within svr.reload_timeout");
  else if (rt->step_failed)
    tiny_step_why(rt, "on_close", why, sizeof why);
  tiny_step_drop(rt);
  tiny_saver_save(rt->saver);
  tiny_stage(rt, stage_save, 0);
}

static bool at_work(tiny *rt) {
  for (int kind = 0; kind < TINY_TASK_KINDS; kind++)
    if (tiny_tasks_count(rt->current, kind, true) > 0) return true;
  return tiny_workers_busy(rt);
}

static void stage_quiet(tiny *rt) {
  if (at_work(rt) && !tiny_stage_late(rt)) return;
  if (at_work(rt)) tiny_warn(rt->log, "standing by with callbacks that have not come back");
  tiny_workers_give_up(rt);
  tiny_step_begin(rt, rt->current, "on_close", "standby");
  tiny_stage(rt, stage_on_close, tiny_conf_ms(rt->current->conf, "svr.reload_timeout"));
}

static void fall(tiny_duty *d) {
  tiny *rt = d->runtime;
  tiny_warn(rt->log, "no longer the active (%s): standing by", d->deposed);
  d->post = FALLING;
  rt->host.serving = false;
  tiny_state_enter(&rt->state, TINY_STANDBY);
  tiny_quiesce(rt->current);
  cut(rt->current, false);
  tiny_sockets_stop(rt->sockets);
  tiny_drain_all(rt);
  acts(d, false);
  show(d, "standby");
  tiny_stage(rt, stage_quiet, tiny_conf_ms(rt->current->conf, "svr.close.wait_lock_delay"));
}

/* A candidate that still loads is given up; of a reload that is further on the control thread
 * awaits the end for a moment. */
static void act_on_deposed(tiny_duty *d) {
  tiny *rt = d->runtime;
  if (d->post == STANDING) {
    d->deposed = NULL;
    d->elected = false;
    tiny_duty_stand(d);
  } else if (d->post == SERVING && rt->closing.begun) {
    acts(d, false);
  } else if (d->post == SERVING) {
    if (rt->loading) tiny_change_abandon(rt, "the server is not the active any more");
    if (!rt->stage) fall(d);
  }
}

void tiny_duty_turn(tiny_duty *d) {
  if (!d) return;
  if (d->deposed) act_on_deposed(d);
  if (d->elected && d->post == STANDING && !d->runtime->stage && !d->runtime->closing.wanted &&
      in_time(d))
    rise(d);
}

/* Whatever is under way, no task goes on as if nothing had happened. */
bool tiny_duty_expired(tiny_duty *d) {
  if (!d || (d->post != SERVING && d->post != RISING) || d->deposed || in_time(d)) return false;
  d->deposed = "timeout";
  tell(d, on_step_down, NULL);
  if (d->post == SERVING)
    act_on_deposed(d);
  else
    cut(d->runtime->change.to, true);
  return true;
}

bool tiny_duty_withdrawn(tiny_duty *d) {
  if (!d || d->post != RISING || !d->deposed) return false;
  tiny_warn(d->runtime->log, "no longer the active (%s) before it had started", d->deposed);
  forget(d);
  return true;
}

/* -- leaving --------------------------------------------------------------- */

static void on_resigned(tiny_ask *ask) {
  tiny_duty *d = ask->data;
  d->resigned = true;
  tiny_ask_done(ask, true, "");
}

static void resigned(void *data) { post_call(data, on_resigned); }

static void resign(tiny_errand *sent) {
  tiny_duty *d = taken(sent);
  if (d->election)
    tiny_election_resign(d->election, resigned, d);
  else
    resigned(d);
}

static void close_election(tiny_errand *sent) {
  tiny_duty *d = taken(sent);
  if (d->election) tiny_election_close(d->election);
  d->election = NULL;
}

void tiny_duty_resign(tiny_duty *d) {
  if (!d) return;
  tiny *rt = d->runtime;
  uint64_t deadline = tiny_timers_now() + RESIGN_WAIT_MS * 1000000ull;
  acts(d, false);
  tell(d, resign, NULL);
  tiny_stage(rt, NULL, RESIGN_WAIT_MS);
  while (!d->resigned && tiny_timers_now() < deadline) uv_run(&rt->loop, UV_RUN_ONCE);
  tiny_stage(rt, NULL, 0);
  tell(d, close_election, NULL);
}

void tiny_duty_free(tiny_duty *d) {
  if (!d) return;
  free(d->name);
  json_decref(d->identity);
  free(d);
}
