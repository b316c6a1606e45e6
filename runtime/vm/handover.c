/* SPDX-License-Identifier: MIT
 * handover.c -- the old generation is made quiet and closes, and its context is carried over. */
#include "change.h"
#include "context.h"
#include "handle.h"

#include <stdlib.h>

enum { CARRY_INLINE = 64 * 1024 }; /* bytes: up to here a thread costs more than it spares */

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
    tiny_change_enter(job->runtime);
  else
    tiny_change_roll_back_because(job->runtime, c->why);
  free(c->parcel.bytes);
  free(c);
}

static void stage_carrying(tiny *rt) { (void)rt; }

/* Packing only reads and is quick; making a large context anew is done off the loop. */
static void carry(tiny *rt) {
  carrying *c = calloc(1, sizeof *c);
  if (!c) {
    tiny_change_roll_back_because(rt, "no memory to carry the context over");
    return;
  }
  c->job = (tiny_job){.work = unpack, .done = on_unpacked, .runtime = rt};
  c->to = rt->change.to;
  if (tiny_generation_pack(rt->change.from, &c->parcel, c->why, sizeof c->why) != 0) {
    tiny_carried_settle(&rt->change.carried, NULL);
    tiny_change_roll_back_because(rt, c->why);
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
    tiny_step_overdue_why(rt, "on_close of the old generation", rt->change.why, TINY_WHY);
    tiny_change_roll_back(rt);
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
  tiny_stage(rt, stage_on_close, tiny_conf_ms(from->conf, "svr.reload_timeout"));
}

/* Who does not let go of the loop, cancelled as he is, is not waited for any longer than the others. */
static void limit_cancelled(tiny_generation *g, uint64_t limit_ns) {
  for (tiny_task *task = g->tasks; task; task = task->next)
    if (task->cancelled) task->limit_ns = limit_ns;
}

void tiny_change_pause(tiny *rt) {
  tiny_generation *from = rt->change.from;
  rt->change.paused_at = tiny_timers_now();
  rt->host.serving = false;
  tiny_state_enter(&rt->state, TINY_RELOADING);
  tiny_quiesce(from);
  limit_cancelled(from, tiny_quiet_ms(from) * 1000000u);
  tiny_sockets_hold(rt->sockets);
  tiny_stage(rt, stage_quiet, tiny_quiet_ms(from));
}
