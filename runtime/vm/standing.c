/* SPDX-License-Identifier: MIT
 * standing.c -- a generation that has not begun yet: it stands by until it is elected, and finds
 * the context of the last checkpoint then, as does one that starts. */
#include "change.h"

static void stage_restore(tiny *rt) {
  tiny_change *c = &rt->change;
  if (!tiny_restoring_done(c->restoring)) return;
  int rc = tiny_restoring_end(c->restoring, c->why, sizeof c->why);
  c->restoring = NULL;
  if (tiny_duty_withdrawn(rt->duty))
    tiny_change_withdraw(rt);
  else if (rc != 0 || rt->closing.wanted)
    tiny_change_roll_back(rt);
  else
    tiny_change_enter(rt);
}

void tiny_change_restore(tiny *rt) {
  tiny_change *c = &rt->change;
  if (!tiny_saver_wanted(c->to->conf)) {
    tiny_change_enter(rt);
    return;
  }
  c->restoring = tiny_restoring_begin(rt, c->to);
  if (c->restoring)
    tiny_stage(rt, stage_restore, 0);
  else
    tiny_change_roll_back_because(rt, "no memory or thread to restore the context");
}

/* Who has asked for a reload in this turn waits for one: what is loaded already is not what he means. */
void tiny_change_take_up(tiny *rt) {
  tiny_change *c = &rt->change;
  c->later = c->asks;
  c->asks = NULL;
  c->to = rt->current;
  c->under_way = true;
  rt->current = NULL;
  tiny_state_enter(&rt->state, TINY_STARTING);
  tiny_change_restore(rt);
}

/* It was elected, and that is over already: the next term begins in another generation. */
void tiny_change_withdraw(tiny *rt) {
  tiny_change *c = &rt->change;
  tiny_step_drop(rt);
  tiny_sockets_back(rt->sockets, c->to, NULL);
  tiny_change_discard(rt, c->to);
  tiny_change_finish(rt, false, "");
  c->wanted = true;
}

/* It is the generation in force, but for that it does nothing yet. */
void tiny_change_stand_by(tiny *rt) {
  tiny_change *c = &rt->change;
  tiny_generation *from = c->from;
  if (tiny_log_configure(rt->log, c->to->conf, c->why, sizeof c->why) != 0) {
    tiny_change_discard(rt, c->to);
    tiny_change_refused(rt);
    return;
  }
  rt->current = c->to;
  rt->last_number = c->to->number;
  atomic_store(&rt->state.generation, c->to->number);
  tiny_duty_follow(rt->duty, c->to->conf);
  tiny_state_conf(&rt->state, c->to->conf);
  tiny_state_enter(&rt->state, TINY_STANDBY);
  tiny_hung_watch(rt);
  if (from) tiny_change_discard(rt, from);
  if (!tiny_duty_standing(rt->duty)) tiny_duty_stand(rt->duty);
  tiny_generation_call(rt->current, "watch");
  c->paused_at = tiny_timers_now();
  if (from)
    tiny_change_reloaded(rt);
  else
    tiny_change_standing(rt);
}
