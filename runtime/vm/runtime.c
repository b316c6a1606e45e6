/* SPDX-License-Identifier: MIT
 * runtime.c -- tiny.h: making a runtime, running its loop, taking it down. */
#include "runtime.h"
#include "executor.h"
#include "limit.h"
#include "roll.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- making ---------------------------------------------------------------- */

/* Closing was forced, on the control thread: the loop may be anywhere. */
static void end_process(void *data, int code) {
  tiny *rt = data;
  atomic_store(&rt->forced_code, code);
  tiny_log_finish(rt->log, TINY_LOG_FLUSH_MS);
  if (rt->exits) _exit(code);
  if (rt->host.forced) rt->host.forced(rt->host.data, code);
}

static int copy_options(tiny *rt, const tiny_options *options, char *why, size_t why_size) {
  rt->control_files = options->control;
  rt->signals = options->signals;
  rt->exits = options->exits;
  rt->interrupts = options->interrupts;
  rt->notify = options->notifies ? tiny_notify_open() : NULL;
  rt->crashes = options->crashes;
  rt->fresh = options->fresh;
  rt->conf_path = strdup(options->conf ? options->conf : "conf.lua");
  rt->script = options->script ? strdup(options->script) : NULL;
  rt->argv = calloc((size_t)options->argc + 1, sizeof *rt->argv);
  if (!rt->conf_path || !rt->argv) return -1;
  if (tiny_host_init(&rt->host, options, why, why_size) != 0) return -1;
  for (; rt->argc < options->argc; rt->argc++) rt->argv[rt->argc] = strdup(options->argv[rt->argc]);
  return 0;
}

static void open_handles(tiny *rt) {
  uv_loop_configure(&rt->loop, UV_METRICS_IDLE_TIME);
  uv_timer_init(&rt->loop, &rt->stage_timer);
  uv_timer_init(&rt->loop, &rt->close_delay);
  rt->close_delay.data = rt;
  uv_prepare_init(&rt->loop, &rt->lag);
  rt->lag.data = rt;
  rt->turn_at = uv_hrtime();
  uv_prepare_start(&rt->lag, tiny_turn_show);
}

static void on_file_changed(void *data) {
  tiny *rt = data;
  tiny_info(rt->log, "a file has changed (svr.watch)");
  tiny_reload(rt, NULL, NULL);
}

static int open_parts(tiny *rt, const tiny_options *options, char *why, size_t why_size) {
  rt->log = tiny_log_open();
  tiny_state_init(&rt->state, rt->log);
  rt->inbox = tiny_inbox_open(&rt->loop, tiny_asked, rt);
  rt->timers = tiny_timers_open(&rt->loop);
  rt->scheduler = tiny_scheduler_open(&rt->loop);
  rt->phases = json_object();
  rt->watch = tiny_watch_open(&rt->loop, on_file_changed, rt);
  rt->sockets = tiny_sockets_open(rt);
  rt->saver = tiny_saver_open(rt);
  if (!rt->log || !rt->inbox || !rt->timers || !rt->scheduler || !rt->phases || !rt->watch ||
      !rt->sockets || !rt->saver) {
    snprintf(why, why_size, "no memory or threads for a runtime");
    return -1;
  }
  tiny_timers_handle(rt->timers, TINY_DUE_TASK, tiny_task_on_due, NULL);
  tiny_timers_handle(rt->timers, TINY_DUE_LIMIT, tiny_limit_on_due, NULL);
  tiny_timers_handle(rt->timers, TINY_DUE_TIMER, tiny_executor_on_due, NULL);
  tiny_timers_handle(rt->timers, TINY_DUE_WORKER, tiny_worker_on_due, NULL);
  tiny_log_attach(rt->log, options->log, options->data, options->log_level);
  if (!options->console) tiny_log_mute(rt->log);
  tiny_log_on_threshold(rt->log, tiny_asked_levels, rt);
  if (rt->crashes) tiny_crashed_open(rt);
  tiny_control_parts parts = {
      .state = &rt->state,
      .log = rt->log,
      .inbox = rt->inbox,
      .signals = rt->signals,
      .end = end_process,
      .stack = tiny_hung_log,
      .overdue = tiny_hung_overdue,
      .look = tiny_hung_look,
      .profile = tiny_hung_profile,
      .profiled = tiny_hung_profiled,
      .data = rt,
  };
  rt->control = tiny_control_open(&parts, why, why_size);
  if (!rt->control) return -1;
  rt->feed = tiny_feed_open(rt->control, &rt->state, rt->log);
  return rt->feed ? 0 : -1;
}

static void destroy(tiny *rt);

tiny *tiny_new(const tiny_options *options, char *why, size_t why_size) {
  tiny *rt = options ? calloc(1, sizeof *rt) : NULL;
  snprintf(why, why_size, options ? "not enough memory" : "no options");
  if (!rt) return NULL;
  if (options->exits) tiny_activation_read(&rt->activation);
  if (uv_loop_init(&rt->loop) != 0) {
    free(rt);
    return NULL;
  }
  open_handles(rt);
  if (copy_options(rt, options, why, why_size) == 0 &&
      open_parts(rt, options, why, why_size) == 0) {
    tiny_roll_add(rt);
    return rt;
  }
  destroy(rt);
  return NULL;
}

/* -- running --------------------------------------------------------------- */

/* Closing goes before reloading, and neither begins while another stage is on. */
static void between_turns(tiny *rt) {
  tiny_duty_turn(rt->duty);
  if (rt->stage) rt->stage(rt);
  if (!rt->stage && rt->closing.wanted && !rt->closing.begun && !rt->finished)
    tiny_closing_begin(rt);
  if (!rt->stage && rt->change.wanted && !rt->closing.wanted && !rt->finished)
    tiny_change_begin(rt);
  if (rt->draining) tiny_drain_turn(rt);
  if (rt->workers) tiny_workers_turn(rt);
}

/* A stage that set the next one need not wait for an event. */
static void settle(tiny *rt) {
  void (*stage)(tiny *);
  do {
    stage = rt->stage;
    between_turns(rt);
  } while (rt->stage != stage && !rt->finished);
}

/* What is still open belongs to states that are gone or to helpers that do not come back. */
static void take_down(tiny *rt) {
  tiny_drain_hurry(rt);
  tiny_drain_turn(rt);
  if (rt->current) tiny_retire(rt, rt->current);
  rt->current = NULL;
  tiny_duty_resign(rt->duty);
  tiny_sockets_close(rt->sockets);
  rt->sockets = NULL;
  uint64_t deadline = tiny_timers_now() + 2000000000u;
  tiny_stage(rt, NULL, 2000);
  while (rt->jobs > atomic_load(&rt->state.threads_lost) && tiny_timers_now() < deadline) {
    uv_run(&rt->loop, UV_RUN_ONCE);
    tiny_workers_turn(rt);
  }
  tiny_stage(rt, NULL, 0);
}

static void begin(tiny *rt) {
  rt->change.wanted = true;
  if (rt->crashes) rt->crash_stack = tiny_crash_stack_open();
  tiny_hung_open(rt);
}

static void finish(tiny *rt) {
  int forced = atomic_load(&rt->forced_code);
  if (forced) rt->exit_code = forced;
  tiny_change_abort(rt); /* who still waits for a reload is told */
  take_down(rt);
  tiny_hung_blind(rt);
  tiny_feed_close(rt->feed);
  rt->feed = NULL;
  tiny_info(rt->log, "closed with exit code %d", rt->exit_code);
  tiny_log_flush(rt->log,
                 TINY_LOG_FLUSH_MS); /* while signals are still ours: a late one must not cut it */
  tiny_control_close(rt->control, forced != 0);
  rt->control = NULL;
  tiny_hung_close(rt);
  tiny_crash_stack_close(rt->crash_stack);
  tiny_pidfile_unlock(rt->pidfile);
  rt->pidfile = NULL;
  tiny_host_over(rt);
}

int tiny_run(tiny *rt) {
  bool first;
  int rc = tiny_host_enter(rt, true, &first);
  if (rc != 0) return rc;
  begin(rt);
  for (settle(rt); !rt->finished; settle(rt)) uv_run(&rt->loop, UV_RUN_ONCE);
  finish(rt);
  return rt->exit_code;
}

/* Settled on both sides: what came in may have ended a stage, and what then begins may want
 * another turn. */
int tiny_step(tiny *rt) {
  bool first;
  int rc = tiny_host_enter(rt, false, &first);
  if (rc != 0) return rc;
  if (first) begin(rt);
  settle(rt);
  if (!rt->finished) uv_run(&rt->loop, UV_RUN_NOWAIT);
  if (!rt->finished) settle(rt);
  if (rt->finished)
    finish(rt);
  else
    tiny_host_leave(rt);
  return !rt->finished;
}

const char *tiny_version(void) { return TINY_VERSION; }

/* -- freeing --------------------------------------------------------------- */

static void close_handles(tiny *rt) {
  uv_close((uv_handle_t *)&rt->stage_timer, NULL);
  uv_close((uv_handle_t *)&rt->close_delay, NULL);
  uv_close((uv_handle_t *)&rt->lag, NULL);
  tiny_watch_close(rt->watch);
  tiny_sockets_close(rt->sockets);
  if (rt->saver) tiny_saver_close(rt->saver);
  if (rt->scheduler) tiny_scheduler_close(rt->scheduler);
  if (rt->timers) tiny_timers_close(rt->timers);
  if (rt->inbox) tiny_inbox_close(rt->inbox);
  uv_run(&rt->loop, UV_RUN_DEFAULT);
}

static void name_open_handle(uv_handle_t *handle, void *data) {
  tiny *rt = data;
  tiny_err(rt->log, "a %s handle was left open", uv_handle_type_name(handle->type));
}

static void destroy(tiny *rt) {
  tiny_feed_close(rt->feed);
  if (rt->control) tiny_control_close(rt->control, false);
  tiny_pidfile_unlock(rt->pidfile);
  close_handles(rt);
  tiny_crash_close(rt->crash);
  tiny_notify_close(rt->notify);
  if (rt->log) uv_walk(&rt->loop, name_open_handle, rt);
  bool stuck = rt->jobs > 0; /* a helper that is stuck in C may still come back to all this */
  if (rt->log && stuck) tiny_log_finish(rt->log, TINY_LOG_FLUSH_MS);
  if (rt->log && !stuck) tiny_log_close(rt->log, TINY_LOG_FLUSH_MS);
  int rc = uv_loop_close(&rt->loop);
  assert(rc == 0);
  (void)rc;
  if (stuck) return;
  tiny_duty_free(rt->duty);
  if (rt->inbox) tiny_inbox_free(rt->inbox);
  tiny_state_fini(&rt->state);
  json_decref(rt->phases);
  for (int i = 0; i < rt->argc; i++) free(rt->argv[i]);
  free(rt->argv);
  free(rt->script);
  free(rt->conf_path);
  tiny_host_fini(&rt->host);
  free(rt);
}

int tiny_free(tiny *rt) {
  if (!rt) return 0;
  int rc = tiny_roll_enter(rt);
  if (rc != 0) return rc;
  bool runs = rt->host.begun && !rt->host.over;
  tiny_roll_leave();
  if (runs) return -EBUSY;
  tiny_roll_remove(rt);
  destroy(rt);
  return 0;
}
