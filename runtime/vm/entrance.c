/* SPDX-License-Identifier: MIT
 * entrance.c -- the candidate begins: its on_start, and then it is the server. */
#include "api_log.h"
#include "change.h"
#include "guard.h"

#include <stdio.h>

/* Compiled code can be interrupted in one generation at a time, so only that one may have it. */
static void let_compile(tiny *rt, tiny_generation *g) {
  if (!rt->interrupt)
    tiny_guard_jit(g->L, TINY_JIT_ON);
  else if (!tiny_interrupt_hold(rt->interrupt, g->L) && g->number == 1)
    tiny_warn(rt->log, "another runtime in this process interrupts compiled Lua: no JIT here");
  if (rt->interrupt)
    tiny_interrupt_slice(rt->interrupt, tiny_conf_ns(g->conf, "svr.watchdog.slice"));
}

void tiny_change_serve(tiny *rt, tiny_generation *g) {
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

void tiny_change_tune(tiny *rt, const tiny_generation *g) {
  double seconds = tiny_conf_number(g->conf, "svr.timer.min_span");
  tiny_timers_precision(rt->timers, seconds < 3600 ? (uint64_t)(seconds * 1e9) : 3600000000000u);
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
  if (from) tiny_drain(rt, from, tiny_conf_ms(from->conf, "svr.close.force_close_delay"));
  tiny_change_serve(rt, rt->current);
  if (from)
    tiny_change_reloaded(rt);
  else
    tiny_change_started(rt);
}

static void stage_on_start(tiny *rt) {
  tiny_change *c = &rt->change;
  if (tiny_duty_withdrawn(rt->duty)) {
    tiny_change_withdraw(rt);
    return;
  }
  if (rt->closing.wanted && rt->step) tiny_task_cancel(rt->step);
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  if (tiny_step_overdue(rt)) {
    tiny_step_overdue_why(rt, "on_start", c->why, sizeof c->why);
    tiny_change_roll_back(rt);
  } else if (rt->step_failed) {
    tiny_step_why(rt, rt->step_name, c->why, sizeof c->why);
    tiny_change_roll_back(rt);
  } else if (!c->from && rt->exits && tiny_become(rt, c->to->conf, c->why, sizeof c->why) != 0) {
    tiny_change_roll_back(rt);
  } else {
    commit(rt);
  }
}

void tiny_change_enter(tiny *rt) {
  tiny_change *c = &rt->change;
  if (tiny_generation_enter(c->to, c->why, sizeof c->why) != 0 ||
      tiny_log_configure(rt->log, c->to->conf, c->why, sizeof c->why) != 0) {
    tiny_change_roll_back(rt);
    return;
  }
  tiny_log_refresh(c->to->L);
  c->to->life = TINY_ENTERED;
  tiny_change_tune(rt, c->to);
  tiny_step_begin(rt, c->to, "on_start", c->from ? "reload" : rt->duty ? "active" : NULL);
  tiny_stage(rt, stage_on_start, c->from ? tiny_conf_ms(c->to->conf, "svr.reload_timeout") : 0);
}
