/* SPDX-License-Identifier: MIT
 * duty_fall.c -- the end of a term in a process that lives on: quiet, on_close, save, on_standby, and all of
 * that generation is gone. */
#include "duty_parts.h"
#include "runtime.h"

void tiny_duty_cut(tiny_generation *g, bool steps_too) {
  for (tiny_task *task = g->tasks; task; task = task->next) {
    if (task->ended || (task->kind == TINY_TASK_STEP && !steps_too)) continue;
    tiny_task_cancel(task);
    task->cut = true;
  }
}

/* Nothing of the old term is left: the next one begins in a new generation. */
static void begin_anew(tiny *rt) {
  tiny_generation *g = rt->current;
  tiny_stage(rt, NULL, 0);
  rt->current = NULL;
  tiny_retire(rt, g);
  tiny_duty_forget(rt->duty);
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

static bool at_work(const tiny *rt) {
  return tiny_tasks_total(rt->current) > 0 || tiny_workers_busy(rt);
}

static void stage_quiet(tiny *rt) {
  if (at_work(rt) && !tiny_stage_late(rt)) return;
  if (at_work(rt)) tiny_warn(rt->log, "standing by with callbacks that have not come back");
  tiny_workers_give_up(rt);
  tiny_step_begin(rt, rt->current, "on_close", "standby");
  tiny_stage(rt, stage_on_close, tiny_conf_ms(rt->current->conf, "svr.reload_timeout"));
}

/* The task that was about to go on may be of one of them: they end with this turn, and not before. */
static void cut_draining(tiny *rt) {
  for (tiny_generation *g = rt->draining; g; g = g->next) tiny_duty_cut(g, true);
  tiny_drain_hurry(rt);
}

void tiny_duty_fall(tiny_duty *d) {
  tiny *rt = d->runtime;
  tiny_warn(rt->log, "no longer the active (%s): standing by", d->deposed);
  d->term = TINY_FALLING;
  rt->host.serving = false;
  tiny_state_enter(&rt->state, TINY_STANDBY);
  tiny_quiesce(rt->current);
  tiny_duty_cut(rt->current, false);
  tiny_sockets_stop(rt->sockets);
  cut_draining(rt);
  tiny_duty_acts(d, false);
  tiny_stage(rt, stage_quiet, tiny_quiet_ms(rt->current));
}
