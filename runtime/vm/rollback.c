/* SPDX-License-Identifier: MIT
 * rollback.c -- the candidate failed after the old generation was paused: the old one starts again
 * with what it had. */
#include "change.h"
#include "handle.h"

#include <stdio.h>

void tiny_change_discard(tiny *rt, tiny_generation *g) {
  tiny_tasks_cancel(g);
  tiny_retire(rt, g);
}

static void stage_resumed(tiny *rt) {
  static const char name[] = "on_start of the old generation";
  char why[TINY_WHY];
  if (rt->closing.wanted && rt->step && rt->step->started) tiny_task_cancel(rt->step);
  if (tiny_step_pending(rt) && !tiny_stage_late(rt)) return;
  bool late = tiny_step_overdue(rt), failed = late || rt->step_failed;
  if (late)
    tiny_step_overdue_why(rt, name, why, sizeof why);
  else if (failed)
    tiny_step_why(rt, name, why, sizeof why);
  if (failed) {
    tiny_change_lost(rt);
    return;
  }
  tiny_change_serve(rt, rt->current);
  tiny_change_refused(rt);
}

void tiny_change_roll_back(tiny *rt) {
  tiny_change *c = &rt->change;
  char why[256];
  tiny_step_drop(rt);
  tiny_sockets_back(rt->sockets, c->to, c->from);
  tiny_change_discard(rt, c->to);
  c->to = NULL;
  if (!c->from) {
    tiny_change_unstarted(rt, TINY_EXIT_START);
    return;
  }
  tiny_log_configure(rt->log, c->from->conf, why, sizeof why);
  tiny_change_tune(rt, c->from);
  tiny_step_begin(rt, c->from, "on_start", NULL);
  tiny_stage(rt, stage_resumed, tiny_conf_ms(c->from->conf, "svr.reload_timeout"));
}

void tiny_change_roll_back_because(tiny *rt, const char *why) {
  snprintf(rt->change.why, TINY_WHY, "%s", why);
  tiny_change_roll_back(rt);
}
