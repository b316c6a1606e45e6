/* SPDX-License-Identifier: MIT
 * stage.c -- what happens between the turns of the loop: one stage at a time, and the
 * one callback (step) that it may wait for. */
#include "report.h"
#include "runtime.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(uv_timer_t *timer) { (void)timer; }

void tiny_stage(tiny *rt, void (*stage)(tiny *), uint64_t ms) {
  rt->stage = stage;
  rt->stage_deadline = ms ? tiny_timers_now() + ms * 1000000u : 0;
  uv_timer_stop(&rt->stage_timer);
  uv_update_time(&rt->loop);
  if (rt->step) rt->step->limit_ns = ms * 1000000u; /* also when it does not let go of the loop */
  if (ms) uv_timer_start(&rt->stage_timer, on_timer, ms + 1, 0);
}

bool tiny_stage_late(const tiny *rt) {
  return rt->stage_deadline && tiny_timers_now() >= rt->stage_deadline;
}

static void on_step_end(tiny_task *task) {
  tiny *rt = task->data;
  if (rt->step != task) return;
  rt->step = NULL;
  rt->step_failed = task->failed;
  rt->step_cancelled = task->failed && tiny_task_was_cancelled(task);
  rt->step_name = task->name;
  if (task->failed) rt->failure = tiny_task_failure(task);
}

void tiny_step_begin(tiny *rt, tiny_generation *g, const char *name, const char *argument) {
  rt->step_failed = rt->step_cancelled = false;
  rt->step_name = name;
  rt->step = tiny_generation_start(g, TINY_TASK_STEP, name, argument, on_step_end);
  if (rt->step)
    rt->step->data = rt;
  else
    rt->step_failed = true;
}

bool tiny_step_pending(const tiny *rt) { return rt->step != NULL; }

void tiny_step_drop(tiny *rt) {
  tiny_task *task = rt->step;
  rt->step = NULL;
  tiny_failure_free(&rt->failure);
  if (task) tiny_task_cancel(task);
}

/* -- why it failed --------------------------------------------------------- */

/* The script's innermost line in a traceback, "" when there is none. */
static void find_place(const char *trace, char *place, size_t size) {
  *place = 0;
  for (const char *line = trace; line; line = strchr(line, '\n')) {
    line += strspn(line, "\n\t ");
    const char *end = strstr(line, ": in ");
    bool ours = strncmp(line, "[C]", 3) == 0 || strncmp(line, "tiny/", 5) == 0;
    if (!end || ours || memchr(line, '\n', (size_t)(end - line))) continue;
    snprintf(place, size, "%.*s", (int)(end - line), line);
    return;
  }
}

/* Errors that are no text, and those of assert(), do not say where they come from. */
static bool has_place(const char *message, const char *place) {
  const char *colon = strrchr(place, ':');
  return colon && strstr(message, colon + 1) != NULL;
}

static void tell_failure(tiny *rt, const char *name, char *why, size_t why_size) {
  char place[160];
  const char *message = rt->failure.message ? rt->failure.message : "not enough memory";
  const char *trace = rt->failure.trace ? rt->failure.trace : message;
  find_place(trace, place, sizeof place);
  bool add = *place && !has_place(message, place);
  snprintf(why, why_size, "%s: %s%s%s", name, add ? place : "", add ? ": " : "", message);
  tiny_err(rt->log, "%s failed: %s", name, trace);
  tiny_state_error(&rt->state, message, rt->failure.trace);
}

/* One that gives way to a close has not failed. */
void tiny_step_why(tiny *rt, const char *name, char *why, size_t why_size) {
  if (rt->step_cancelled && rt->closing.wanted) {
    snprintf(why, why_size, "the server is closing");
    tiny_info(rt->log, "%s was cancelled: %s", name, why);
  } else {
    tell_failure(rt, name, why, why_size);
  }
  tiny_failure_free(&rt->failure);
}

bool tiny_step_overdue(const tiny *rt) {
  return tiny_stage_late(rt) && (rt->step || rt->step_failed);
}

void tiny_step_overdue_why(tiny *rt, const char *name, char *why, size_t why_size) {
  char place[160], text[4096];
  tiny_report report = tiny_report_begin(text, sizeof text);
  if (rt->step) tiny_trace_put(&report, rt->step->co);
  const char *trace = rt->failure.trace ? rt->failure.trace : text;
  find_place(trace, place, sizeof place);
  snprintf(why, why_size, "%s did not end within svr.reload_timeout%s%s", name,
           *place ? ", it was at " : "", place);
  tiny_err(rt->log, "%s did not end within svr.reload_timeout:\n%s", name, trace);
  tiny_failure_free(&rt->failure);
  tiny_step_drop(rt);
}
