/* SPDX-License-Identifier: MIT
 * closing.c -- the way down: quiet, on_close, what is in flight, end. The control thread ends the
 * process if it takes longer than svr.close.force_close_delay. */
#include "http.h"
#include "runtime.h"

#include <stdio.h>
#include <string.h>

static const uint64_t SPARE_MS = 500;

static uint64_t force_ms(const tiny *rt) {
  return tiny_conf_ms(rt->current->conf, "svr.close.force_close_delay");
}

/* Requests in flight may finish, as long as that leaves time to close without force. */
static uint64_t request_ms(const tiny *rt) {
  uint64_t force = force_ms(rt), quiet = tiny_quiet_ms(rt->current);
  return force > quiet + SPARE_MS ? force - quiet - SPARE_MS : 1;
}

static void stage_save(tiny *rt) {
  if (tiny_saver_busy(rt->saver)) return;
  tiny_stage(rt, NULL, 0);
  rt->finished = true;
}

/* What Lua was stopped in the middle of may be half done: the checkpoint before is better then. */
static void save(tiny *rt) {
  if (strcmp(rt->closing.reason, "hung") != 0) tiny_saver_save(rt->saver);
  tiny_stage(rt, stage_save, 0);
}

static bool on_except_runs(const tiny *rt) {
  return tiny_tasks_count(rt->current, TINY_TASK_STEP, true) > 0;
}

/* About what on_close and the last requests have raised. */
static void stage_on_except(tiny *rt) {
  if (!on_except_runs(rt) || tiny_stage_late(rt)) save(rt);
}

static void stage_requests(tiny *rt) {
  bool waits = tiny_tasks_count(rt->current, TINY_TASK_REQUEST, true) > 0 ||
               tiny_sockets_sending(rt->sockets);
  if (waits && !tiny_stage_late(rt)) return;
  tiny_stage(rt, stage_on_except, waits ? 1 : tiny_quiet_ms(rt->current));
}

static void stage_on_close(tiny *rt) {
  if (tiny_step_pending(rt)) return;
  char why[TINY_WHY];
  if (rt->step_failed) tiny_step_why(rt, "on_close", why, sizeof why);
  if (rt->sockets->http) tiny_http_events_end_all(rt->sockets->http); /* by itself none ends */
  tiny_stage(rt, stage_requests, request_ms(rt));
}

static void stage_quiet(tiny *rt) {
  bool quiet = tiny_quiet(rt->current);
  bool waits = !quiet || on_except_runs(rt) || tiny_workers_busy(rt);
  if (waits && !tiny_stage_late(rt)) return;
  if (!quiet) tiny_warn(rt->log, "closing with callbacks that have not come back");
  tiny_workers_give_up(rt);
  if (rt->interrupt) tiny_interrupt_spare(rt->interrupt);
  tiny_step_begin(rt, rt->current, "on_close", rt->closing.reason);
  tiny_stage(rt, stage_on_close, 0);
}

void tiny_closing_begin(tiny *rt) {
  rt->closing.begun = true;
  tiny_notify_stopping(rt->notify, rt->closing.reason);
  rt->host.serving = false;
  rt->exit_code = rt->closing.code;
  tiny_state_enter(&rt->state, TINY_CLOSING);
  tiny_change_abort(rt);
  if (!rt->current || tiny_duty_standing(rt->duty)) { /* nothing has started: nothing to close */
    rt->finished = true;
    return;
  }
  tiny_info(rt->log, "closing: %s", rt->closing.reason);
  tiny_control_deadline(rt->control, force_ms(rt));
  tiny_notify_extend(rt->notify, force_ms(rt) + SPARE_MS);
  if (rt->current->life != TINY_ENTERED) { /* a failed reload has closed it */
    save(rt);
    return;
  }
  tiny_quiesce(rt->current);
  tiny_sockets_stop(rt->sockets);
  tiny_stage(rt, stage_quiet, tiny_quiet_ms(rt->current));
}

static void want(tiny *rt) {
  rt->closing.wanted = true;
  tiny_change_abort(rt);
}

static void on_delay(uv_timer_t *timer) { want(timer->data); }

/* Whether an earlier request counts: one that is due no later. Only a failing server's own exit code goes over
 * a clean one. */
static bool came_first(tiny *rt, uint64_t delay_ms, int code) {
  if (rt->closing.wanted) return !code || rt->closing.code || rt->closing.begun;
  uv_timer_t *timer = &rt->close_delay;
  return uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= delay_ms;
}

void tiny_closing_ask(tiny *rt, const char *reason, double delay, int code) {
  uint64_t ms = !(delay > 0) ? 0 : delay < 4e6 ? (uint64_t)(delay * 1000) : UINT32_MAX;
  uv_update_time(&rt->loop);
  if (came_first(rt, ms, code)) return;
  rt->closing.reason = reason;
  rt->closing.code = code;
  if (delay > 0)
    uv_timer_start(&rt->close_delay, on_delay, ms, 0);
  else
    want(rt);
}
