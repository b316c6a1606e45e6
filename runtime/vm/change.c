/* SPDX-License-Identifier: MIT
 * change.c -- one generation takes another's place. The start is a change from nothing; what
 * differs is only that there is no way back.
 *
 *     load (helper) -> admit -> quiet -> on_close -> carry -> on_start -> commit
 *                        |                 |           |         |
 *                     refused              +------ roll back ----+
 *
 * In the place of quiet, on_close and carry the start has restore: the context of the last
 * checkpoint, if checkpoints are made. One of several stands by after admission, and goes on
 * from there when it is elected.
 */
#include "api_log.h"
#include "guard.h"
#include "handle.h"
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double FIRST_LOAD_TIMEOUT = 5; /* seconds: no conf.lua has been read yet */

static const uint64_t STUCK_NS =
    500000000; /* past its deadline a candidate does not even run Lua */

enum { CARRY_INLINE = 64 * 1024 }; /* bytes: up to here a thread costs more than it spares */

static uint64_t conf_ms(const tiny_generation *g, const char *key) {
  return tiny_conf_ms(g->conf, key);
}

/* -- outcome --------------------------------------------------------------- */

static void answer(tiny_ask *ask, bool ok, const char *text) {
  while (ask) {
    tiny_ask *next = ask->next;
    tiny_ask_done(ask, ok, text);
    ask = next;
  }
}

/* Requests that came meanwhile are one more change. */
static void finish(tiny *rt, bool ok, const char *text) {
  if (rt->current && !rt->closing.begun) tiny_notify_ready(rt->notify, text);
  tiny_change *c = &rt->change;
  tiny_ask *asks = c->asks;
  c->to = c->from = NULL;
  c->under_way = false;
  c->asks = c->later;
  c->later = NULL;
  c->wanted = c->asks != NULL;
  tiny_stage(rt, NULL, 0);
  answer(asks, ok, text);
}

static void start_failed(tiny *rt, int code) {
  tiny_notify_status(rt->notify, rt->change.why);
  if (rt->closing.wanted)
    tiny_info(rt->log, "closed while starting");
  else
    tiny_err(rt->log, "cannot start: %s", rt->change.why);
  rt->exit_code = rt->closing.wanted ? rt->closing.code : code;
  rt->finished = true;
  finish(rt, false, rt->change.why);
}

static void refused(tiny *rt) {
  tiny_change *c = &rt->change;
  char text[TINY_WHY + 64];
  if (!rt->current) {
    start_failed(rt, rt->last_number == 0 ? TINY_EXIT_START : TINY_EXIT_ERROR);
    return;
  }
  snprintf(text, sizeof text, "refused: %s; generation %llu goes on", c->why,
           (unsigned long long)rt->current->number);
  tiny_err(rt->log, "reload %s", text);
  tiny_state_reloaded(&rt->state, false, text);
  finish(rt, false, text);
}

static void discard(tiny *rt, tiny_generation *g) {
  tiny_tasks_cancel(g);
  tiny_retire(rt, g);
}

/* -- back to the old one --------------------------------------------------- */

/* Compiled code can be interrupted in one generation at a time, so only that one may have it. */
static void let_compile(tiny *rt, tiny_generation *g) {
  if (!rt->interrupt)
    tiny_guard_jit(g->L, TINY_JIT_ON);
  else if (!tiny_interrupt_hold(rt->interrupt, g->L) && g->number == 1)
    tiny_warn(rt->log, "another runtime in this process interrupts compiled Lua: no JIT here");
  if (rt->interrupt)
    tiny_interrupt_slice(rt->interrupt, tiny_conf_ns(g->conf, "svr.watchdog.slice"));
}

static void serve(tiny *rt, tiny_generation *g) {
  g->life = TINY_ENTERED;
  let_compile(rt, g);
  rt->host.serving = true;
  tiny_sockets_serve(rt->sockets, g);
  tiny_saver_follow(rt->saver, g->conf);
  tiny_duty_serve(rt->duty);
  tiny_generation_call(g, "serve");
  tiny_counts_show(rt);
  tiny_state_enter(&rt->state, TINY_RUNNING);
}

static void stage_resumed(tiny *rt) {
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  bool late = tiny_step_pending(rt);
  if (late) tiny_step_drop(rt);
  if (late || rt->step_failed) {
    char why[TINY_WHY];
    if (late)
      tiny_err(rt->log, "on_start of the old generation did not end in time");
    else
      tiny_step_why(rt, "on_start of the old generation", why, sizeof why);
    rt->current->life = TINY_LOADED; /* no on_start, so no on_close */
    refused(rt);
    tiny_closing_ask(rt, "error", 0, TINY_EXIT_ERROR);
    return;
  }
  serve(rt, rt->current);
  refused(rt);
}

static void set_precision(tiny *rt, const tiny_generation *g) {
  double seconds = tiny_conf_number(g->conf, "svr.timer.min_span");
  tiny_timers_precision(rt->timers, seconds < 3600 ? (uint64_t)(seconds * 1e9) : 3600000000000u);
}

static void roll_back(tiny *rt) {
  tiny_change *c = &rt->change;
  char why[256];
  tiny_step_drop(rt);
  tiny_sockets_back(rt->sockets, c->to, c->from);
  discard(rt, c->to);
  c->to = NULL;
  if (!c->from) {
    start_failed(rt, TINY_EXIT_START);
    return;
  }
  tiny_log_configure(rt->log, c->from->conf, why, sizeof why);
  set_precision(rt, c->from);
  tiny_step_begin(rt, c->from, "on_start", NULL);
  tiny_stage(rt, stage_resumed, conf_ms(c->from, "svr.reload_timeout"));
}

static void roll_back_because(tiny *rt, const char *why) {
  snprintf(rt->change.why, TINY_WHY, "%s", why);
  roll_back(rt);
}

/* -- on to the new one ----------------------------------------------------- */

/* A key that is known but has no effect yet must not look as if it had. */
static void warn_of_unbuilt(tiny *rt) {
  static const char *const keys[] = {"svr.cluster.conf_prefix", NULL};
  for (int i = 0; keys[i]; i++)
    if (tiny_conf_string(rt->current->conf, keys[i]))
      tiny_warn(rt->log, "%s has no effect: this version does not have it", keys[i]);
}

static void tell_started(tiny *rt) {
  tiny_info(rt->log, "started: generation %llu", (unsigned long long)rt->current->number);
  warn_of_unbuilt(rt);
  finish(rt, true, "started");
}

static void tell_standing(tiny *rt) {
  tiny_info(rt->log, "standing by: generation %llu", (unsigned long long)rt->current->number);
  finish(rt, true, "standing by");
}

static void tell_reloaded(tiny *rt) {
  char text[128];
  double pause_ms = (double)(tiny_timers_now() - rt->change.paused_at) / 1e6;
  snprintf(text, sizeof text, "reloaded: generation %llu, pause %.1f ms",
           (unsigned long long)rt->current->number, pause_ms);
  tiny_info(rt->log, "%s", text);
  tiny_state_reloaded(&rt->state, true, text);
  finish(rt, true, text);
}

static void tell_conf(tiny *rt) {
  const tiny_conf *conf = rt->current->conf;
  if (!tiny_conf_bool(conf, "svr.log_conf_on_reload")) return;
  char *text = json_dumps(tiny_conf_masked(conf), JSON_SORT_KEYS | JSON_ENCODE_ANY);
  if (text) tiny_info(rt->log, "configuration: %s", text);
  free(text);
}

static void commit(tiny *rt) {
  tiny_change *c = &rt->change;
  tiny_generation *from = c->from;
  rt->current = c->to;
  rt->last_number = c->to->number;
  atomic_store(&rt->state.generation, c->to->number);
  tiny_duty_follow(rt->duty, c->to->conf);
  tiny_state_conf(&rt->state, c->to->conf);
  tiny_hung_watch(rt);
  if (from) tiny_drain(rt, from, conf_ms(from, "svr.close.force_close_delay"));
  serve(rt, rt->current);
  if (from)
    tell_reloaded(rt);
  else
    tell_started(rt);
  tell_conf(rt);
}

/* It was elected, and that is over already: the next term begins in another generation. */
static void withdraw(tiny *rt) {
  tiny_change *c = &rt->change;
  tiny_step_drop(rt);
  tiny_sockets_back(rt->sockets, c->to, NULL);
  discard(rt, c->to);
  finish(rt, false, "");
  c->wanted = true;
}

static void stage_on_start(tiny *rt) {
  tiny_change *c = &rt->change;
  if (tiny_duty_withdrawn(rt->duty)) {
    withdraw(rt);
    return;
  }
  if (!c->from && rt->closing.wanted && rt->step) tiny_task_cancel(rt->step);
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  if (tiny_step_pending(rt)) {
    roll_back_because(rt, "on_start did not end within svr.reload_timeout");
  } else if (rt->step_failed) {
    tiny_step_why(rt, "on_start", c->why, sizeof c->why);
    roll_back(rt);
  } else if (!c->from && rt->exits && tiny_become(rt, c->to->conf, c->why, sizeof c->why) != 0) {
    roll_back(rt);
  } else {
    commit(rt);
  }
}

static void enter(tiny *rt) {
  tiny_change *c = &rt->change;
  if (tiny_generation_enter(c->to, c->why, sizeof c->why) != 0 ||
      tiny_log_configure(rt->log, c->to->conf, c->why, sizeof c->why) != 0) {
    roll_back(rt);
    return;
  }
  tiny_log_refresh(c->to->L);
  c->to->life = TINY_ENTERED;
  set_precision(rt, c->to);
  tiny_step_begin(rt, c->to, "on_start", c->from ? "reload" : rt->duty ? "active" : NULL);
  tiny_stage(rt, stage_on_start, c->from ? conf_ms(c->to, "svr.reload_timeout") : 0);
}

/* -- the context ------------------------------------------------------------ */

typedef struct carrying {
  tiny_job job;
  tiny_generation *to;
  tiny_parcel parcel;
  int rc;
  char why[TINY_WHY];
} carrying;

static void unpack(tiny_job *job) {
  carrying *c = (carrying *)job;
  c->rc = tiny_generation_unpack(c->to, &c->parcel, c->why, sizeof c->why);
}

static void on_unpacked(tiny_job *job) {
  carrying *c = (carrying *)job;
  tiny_carried_settle(&job->runtime->change.carried, c->rc == 0 ? c->to : NULL);
  if (c->rc == 0)
    enter(job->runtime);
  else
    roll_back_because(job->runtime, c->why);
  free(c->parcel.bytes);
  free(c);
}

static void stage_carrying(tiny *rt) { (void)rt; }

/* Packing only reads and is quick; making a large context anew is done off the loop. */
static void carry(tiny *rt) {
  carrying *c = calloc(1, sizeof *c);
  if (!c) {
    roll_back_because(rt, "no memory to carry the context over");
    return;
  }
  c->job = (tiny_job){.work = unpack, .done = on_unpacked, .runtime = rt};
  c->to = rt->change.to;
  if (tiny_generation_pack(rt->change.from, &c->parcel, c->why, sizeof c->why) != 0) {
    tiny_carried_settle(&rt->change.carried, NULL);
    roll_back_because(rt, c->why);
    free(c);
    return;
  }
  tiny_stage(rt, stage_carrying, 0);
  if (c->parcel.size > CARRY_INLINE && tiny_job_start(rt, &c->job) == 0) return;
  unpack(&c->job);
  on_unpacked(&c->job);
}

static void stage_on_close(tiny *rt) {
  char why[TINY_WHY];
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  if (tiny_step_pending(rt)) {
    roll_back_because(rt, "on_close of the old generation did not end within svr.reload_timeout");
    return;
  }
  if (rt->step_failed) tiny_step_why(rt, "on_close", why, sizeof why); /* logged, no more */
  carry(rt);
}

static void stage_quiet(tiny *rt) {
  tiny_generation *from = rt->change.from;
  if (!tiny_quiet(from) && !tiny_stage_late(rt)) return;
  if (!tiny_quiet(from))
    tiny_warn(rt->log, "reloading with callbacks of generation %llu that have not come back",
              (unsigned long long)from->number);
  tiny_step_begin(rt, from, "on_close", "reload");
  tiny_stage(rt, stage_on_close, conf_ms(from, "svr.reload_timeout"));
}

/* Who does not let go of the loop, cancelled as he is, is not waited for any longer than the others. */
static void limit_cancelled(tiny_generation *g, uint64_t limit_ns) {
  for (tiny_task *task = g->tasks; task; task = task->next)
    if (task->cancelled) task->limit_ns = limit_ns;
}

static void pause_old(tiny *rt) {
  tiny_generation *from = rt->change.from;
  rt->change.paused_at = tiny_timers_now();
  rt->host.serving = false;
  tiny_state_enter(&rt->state, TINY_RELOADING);
  tiny_quiesce(from);
  limit_cancelled(from, conf_ms(from, "svr.close.wait_lock_delay") * 1000000u);
  tiny_sockets_hold(rt->sockets);
  tiny_stage(rt, stage_quiet, conf_ms(from, "svr.close.wait_lock_delay"));
}

/* -- admission: what can be refused before the old one notices ------------- */

static bool same(const tiny_conf *a, const tiny_conf *b, const char *key) {
  return json_equal(tiny_conf_json(a, key), tiny_conf_json(b, key)) ||
         (!tiny_conf_json(a, key) && !tiny_conf_json(b, key));
}

static int compare(const tiny_conf *old, const tiny_conf *new, char *why, size_t why_size) {
  static const char *const fixed[] = {"svr.name",  "svr.run_dir",      "svr.user",
                                      "svr.group", "svr.cluster.name", NULL};
  for (int i = 0; fixed[i]; i++) {
    if (same(old, new, fixed[i])) continue;
    snprintf(why, why_size, "%s: %s has changed: that needs a restart", tiny_conf_file(new),
             fixed[i]);
    return -1;
  }
  return tiny_duty_check(old, new, why, why_size);
}

/* Against what is in force, or was, when an active has become a standby. */
static int check_unchanged(tiny *rt, const tiny_conf *new, char *why, size_t why_size) {
  tiny_conf *old = tiny_state_hold_conf(&rt->state);
  int rc = compare(old, new, why, why_size);
  tiny_conf_drop(old);
  return rc;
}

/* First start: the name is ours from here on, and commands can reach us. */
static int claim(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  if (!rt->control_files) return 0;
  rt->pidfile = tiny_pidfile_lock(conf, why, why_size);
  if (!rt->pidfile) return -1;
  if (tiny_control_listen(rt->control, conf, why, why_size) != 0) return -1;
  return tiny_pidfile_note(rt->pidfile, conf, why, why_size);
}

static void stage_restore(tiny *rt) {
  tiny_change *c = &rt->change;
  if (!tiny_restoring_done(c->restoring)) return;
  int rc = tiny_restoring_end(c->restoring, c->why, sizeof c->why);
  c->restoring = NULL;
  if (tiny_duty_withdrawn(rt->duty))
    withdraw(rt);
  else if (rc != 0 || rt->closing.wanted)
    roll_back(rt);
  else
    enter(rt);
}

static void restore(tiny *rt) {
  tiny_change *c = &rt->change;
  if (!tiny_saver_wanted(c->to->conf)) {
    enter(rt);
    return;
  }
  c->restoring = tiny_restoring_begin(rt, c->to);
  if (c->restoring)
    tiny_stage(rt, stage_restore, 0);
  else
    roll_back_because(rt, "no memory or thread to restore the context");
}

void tiny_change_take_up(tiny *rt) {
  tiny_change *c = &rt->change;
  c->to = rt->current;
  c->under_way = true;
  rt->current = NULL;
  tiny_state_enter(&rt->state, TINY_STARTING);
  restore(rt);
}

/* -- standing by ----------------------------------------------------------- */

/* It is the generation in force, but for that it does nothing yet. */
static void stand_by(tiny *rt) {
  tiny_change *c = &rt->change;
  tiny_generation *from = c->from;
  if (tiny_log_configure(rt->log, c->to->conf, c->why, sizeof c->why) != 0) {
    discard(rt, c->to);
    refused(rt);
    return;
  }
  rt->current = c->to;
  rt->last_number = c->to->number;
  atomic_store(&rt->state.generation, c->to->number);
  tiny_duty_follow(rt->duty, c->to->conf);
  tiny_state_conf(&rt->state, c->to->conf);
  tiny_state_enter(&rt->state, TINY_STANDBY);
  tiny_hung_watch(rt);
  if (from) discard(rt, from);
  if (!tiny_duty_standing(rt->duty)) tiny_duty_stand(rt->duty);
  tiny_generation_call(rt->current, "watch");
  c->paused_at = tiny_timers_now();
  if (from)
    tell_reloaded(rt);
  else
    tell_standing(rt);
  tell_conf(rt);
}

/* What only the first start does. */
static int begin(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  if (rt->exits && tiny_become_check(conf, why, why_size) != 0) return -1;
  if (claim(rt, conf, why, why_size) != 0) return -1;
  if (!tiny_duty_clustered(conf)) return 0;
  rt->duty = tiny_duty_open(rt, conf, why, why_size);
  return rt->duty ? 0 : -1;
}

static void admit(tiny *rt) {
  tiny_change *c = &rt->change;
  bool first = rt->last_number == 0;
  int rc = tiny_log_check(c->to->conf, c->why, sizeof c->why);
  if (rc == 0) rc = tiny_saver_check(c->to->conf, c->why, sizeof c->why);
  if (rc == 0 && !first) rc = check_unchanged(rt, c->to->conf, c->why, sizeof c->why);
  if (rc == 0 && first) rc = begin(rt, c->to->conf, c->why, sizeof c->why);
  if (rc != 0) {
    discard(rt, c->to);
    refused(rt);
  } else if (rt->duty && (!c->from || tiny_duty_standing(rt->duty))) {
    stand_by(rt);
  } else if (c->from) {
    pause_old(rt);
  } else {
    tiny_state_conf(&rt->state, c->to->conf);
    tiny_hung_watch(rt);
    restore(rt);
  }
}

/* -- loading --------------------------------------------------------------- */

struct tiny_loading {
  tiny_job job;
  tiny_generation *generation;
  char *conf, *script;
  uint64_t timeout_ms;
  int rc;
  bool abandoned; /* loop thread: nobody waits for it any more */
  char why[TINY_WHY];
};
typedef struct tiny_loading loading;

static void load(tiny_job *job) {
  loading *l = (loading *)job;
  l->rc =
      tiny_generation_load(l->generation, l->conf, l->script, l->timeout_ms, l->why, sizeof l->why);
}

static void free_loading(loading *l) {
  free(l->conf);
  free(l->script);
  free(l);
}

static void on_loaded(tiny_job *job) {
  loading *l = (loading *)job;
  tiny *rt = job->runtime;
  tiny_generation *g = l->generation;
  if (l->abandoned) {
    atomic_fetch_sub(&rt->state.threads_lost, 1);
    tiny_retire(rt, g);
  } else {
    rt->loading = NULL;
    snprintf(rt->change.why, TINY_WHY, "%s", l->why);
    g->life = TINY_LOADED;
    if (l->rc == 0) {
      admit(rt);
    } else {
      discard(rt, g);
      refused(rt);
    }
  }
  free_loading(l);
}

/* The deadline hook stops Lua; what is stuck in C is left to its thread. */
void tiny_change_abandon(tiny *rt, const char *why) {
  rt->loading->abandoned = true;
  rt->loading = NULL;
  atomic_fetch_add(&rt->state.threads_lost, 1);
  snprintf(rt->change.why, TINY_WHY, "%s", why);
  refused(rt);
}

/* The candidate's own conf may have given it longer than was thought at first. */
static void stage_loading(tiny *rt) {
  if (!rt->loading || !tiny_stage_late(rt)) return;
  uint64_t now = tiny_timers_now(), deadline = atomic_load(&rt->loading->generation->load_deadline);
  if (now < deadline + STUCK_NS)
    tiny_stage(rt, stage_loading, (deadline + STUCK_NS - now) / 1000000u + 1);
  else
    tiny_change_abandon(rt, "loading is stuck in a C call and was given up (svr.load_timeout)");
}

static loading *loading_new(tiny *rt, uint64_t timeout_ms) {
  loading *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->job = (tiny_job){.work = load, .done = on_loaded};
  l->timeout_ms = timeout_ms;
  l->conf = strdup(rt->conf_path);
  l->script = rt->script ? strdup(rt->script) : NULL;
  l->generation = tiny_generation_open(rt, rt->last_number + 1);
  return l;
}

void tiny_change_begin(tiny *rt) {
  tiny_change *c = &rt->change;
  if (rt->current) tiny_notify_reloading(rt->notify);
  uint64_t timeout_ms =
      rt->current ? conf_ms(rt->current, "svr.load_timeout") : (uint64_t)(FIRST_LOAD_TIMEOUT * 1e3);
  c->wanted = false;
  c->from = rt->current;
  loading *l = loading_new(rt, timeout_ms);
  if (!l || !l->conf || !l->generation || tiny_job_start(rt, &l->job) != 0) {
    if (l && l->generation) tiny_generation_close(l->generation);
    if (l) free_loading(l);
    snprintf(c->why, sizeof c->why, "no memory or thread to load a generation");
    refused(rt);
    return;
  }
  rt->loading = l;
  c->to = l->generation;
  c->under_way = true;
  atomic_fetch_add(&rt->state.generations_alive, 1);
  tiny_stage(rt, stage_loading, timeout_ms);
}

void tiny_change_abort(tiny *rt) {
  tiny_change *c = &rt->change;
  if (rt->loading) tiny_change_abandon(rt, "the server is closing");
  if (c->under_way) return; /* it goes to its end first */
  tiny_ask *asks = c->asks;
  c->asks = NULL;
  c->wanted = false;
  answer(asks, false, "refused: the server is closing");
}

void tiny_change_ask(tiny *rt, tiny_ask *ask) {
  tiny_change *c = &rt->change;
  tiny_ask **at = c->under_way ? &c->later : &c->asks;
  if (rt->closing.wanted) {
    tiny_ask_done(ask, false, "refused: the server is closing");
    return;
  }
  while (*at) at = &(*at)->next;
  ask->next = NULL;
  *at = ask;
  c->wanted = true;
}
