/* SPDX-License-Identifier: MIT
 * loading.c -- a candidate is loaded in a helper thread, and given up when it gets stuck there. */
#include "build.h"
#include "change.h"

#include <stdio.h>
#include <stdlib.h>

/* So long past its deadline a candidate does not even run Lua. */
static const uint64_t STUCK_NS = 500000000;

struct tiny_loading {
  tiny_job job;
  tiny_generation *generation;
  uint64_t timeout_ms;
  int rc;
  bool abandoned; /* loop thread: nobody waits for it any more */
  char why[TINY_WHY];
};

typedef struct tiny_loading loading;

static void load(tiny_job *job) {
  loading *l = (loading *)job;
  const tiny *rt = job->runtime;
  l->rc = tiny_generation_load(l->generation, rt->conf_path, rt->script, l->timeout_ms, l->why,
                               sizeof l->why);
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
      tiny_change_admit(rt);
    } else {
      tiny_change_discard(rt, g);
      tiny_change_refused(rt);
    }
  }
  free(l);
}

/* The deadline hook stops Lua; what is stuck in C is left to its thread. */
void tiny_change_abandon(tiny *rt, const char *why) {
  rt->loading->abandoned = true;
  rt->loading = NULL;
  atomic_fetch_add(&rt->state.threads_lost, 1);
  snprintf(rt->change.why, TINY_WHY, "%s", why);
  tiny_change_refused(rt);
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

static loading *start(tiny *rt, uint64_t timeout_ms) {
  loading *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->job = (tiny_job){.work = load, .done = on_loaded};
  l->timeout_ms = timeout_ms;
  l->generation = tiny_generation_new(rt, rt->last_number + 1);
  if (l->generation) {
    l->generation->shared = tiny_duty_shared(rt->duty);
    if (tiny_job_start(rt, &l->job) == 0) return l;
    tiny_generation_close(l->generation);
  }
  free(l);
  return NULL;
}

void tiny_change_begin(tiny *rt) {
  tiny_change *c = &rt->change;
  if (rt->current) tiny_notify_reloading(rt->notify);
  uint64_t timeout_ms =
      rt->current ? tiny_conf_ms(rt->current->conf, "svr.load_timeout") : TINY_FIRST_LOAD_MS;
  c->wanted = false;
  c->from = rt->current;
  loading *l = start(rt, timeout_ms);
  if (!l) {
    snprintf(c->why, sizeof c->why, "no memory or thread to load a generation");
    tiny_change_refused(rt);
    return;
  }
  rt->loading = l;
  c->to = l->generation;
  c->under_way = true;
  atomic_fetch_add(&rt->state.generations_alive, 1);
  tiny_stage(rt, stage_loading, timeout_ms);
}
