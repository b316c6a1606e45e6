/* SPDX-License-Identifier: MIT
 * parked.c -- what a generation waits for and holds, as text. */
#include "parked.h"
#include "handle.h"
#include "runtime.h"
#include "trace.h"

enum { SHOWN = 20 };

tiny_task *tiny_parked_run(const tiny_generation *g) {
  tiny_task *task = g->tasks;
  while (task && task->kind != TINY_TASK_RUN) task = task->next;
  return task;
}

void tiny_parked_put_task(tiny_report *report, const tiny_task *task) {
  tiny_task_describe(report, task, task->generation->L);
  tiny_trace_put(report, task->co);
}

void tiny_parked_put(tiny_report *report, const tiny_generation *g) {
  const tiny_task *run = tiny_parked_run(g);
  int shown = 0;
  if (run) tiny_parked_put_task(report, run);
  for (const tiny_task *task = g->tasks; task; task = task->next) {
    if (task == run || task == g->executor || task->ended) continue;
    if (++shown <= SHOWN) tiny_parked_put_task(report, task);
  }
  if (shown <= SHOWN) return;
  tiny_report_put(report, "and ");
  tiny_report_number(report, shown - SHOWN);
  tiny_report_put(report, " more\n");
}

/* -- handles --------------------------------------------------------------- */

static int count_kind(const tiny_handle *handle, const tiny_handle_kind *kind) {
  int count = 0;
  for (; handle; handle = handle->next) count += handle->kind == kind;
  return count;
}

/* Whether an earlier one is of its kind: that has counted it. */
static bool is_counted(const tiny_generation *g, const tiny_handle *handle) {
  const tiny_handle *first = g->handle;
  while (first->kind != handle->kind) first = first->next;
  return first != handle;
}

void tiny_parked_put_handles(tiny_report *report, const tiny_generation *g) {
  if (!g->handle) return;
  tiny_report_put(report, "open:");
  for (const tiny_handle *h = g->handle; h; h = h->next) {
    if (is_counted(g, h)) continue;
    tiny_report_put(report, " ");
    tiny_report_number(report, count_kind(h, h->kind));
    tiny_report_put(report, " ");
    tiny_report_put(report, h->kind->name);
  }
  tiny_report_put(report, "\n");
}
