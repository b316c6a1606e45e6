/* SPDX-License-Identifier: MIT
 * scheduler.c -- a list, and an idle handle that keeps the loop from sleeping while it is not empty. */
#include "scheduler.h"
#include "task.h"

#include <stdlib.h>

enum { BATCH = 4096 }; /* tasks resumed before I/O gets its turn */

struct tiny_scheduler {
  uv_idle_t idle; /* active while someone is ready, so that the loop does not sleep */
  tiny_task *first, **last;
  unsigned ready;
};

static tiny_task *pop(tiny_scheduler *s) {
  tiny_task *task = s->first;
  s->first = task->later;
  if (!s->first) s->last = &s->first;
  s->ready--;
  task->queued = false;
  return task;
}

static void run(tiny_task *task) { tiny_task_run(task, task->passes); }

/* Whoever gets ready meanwhile runs in the next turn: fair to the sockets. */
static void turn(uv_idle_t *idle) {
  tiny_scheduler *s = idle->data;
  for (unsigned n = s->ready < BATCH ? s->ready : BATCH; n > 0 && s->first; n--) run(pop(s));
  if (!s->first) uv_idle_stop(idle);
}

tiny_scheduler *tiny_scheduler_open(uv_loop_t *loop) {
  tiny_scheduler *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->last = &s->first;
  uv_idle_init(loop, &s->idle);
  s->idle.data = s;
  return s;
}

static void on_close(uv_handle_t *handle) { free(handle->data); }

void tiny_scheduler_close(tiny_scheduler *s) { uv_close((uv_handle_t *)&s->idle, on_close); }

void tiny_scheduler_push(tiny_scheduler *s, tiny_task *task) {
  if (task->queued) return;
  task->queued = true;
  task->later = NULL;
  if (!s->first) uv_idle_start(&s->idle, turn);
  *s->last = task;
  s->last = &task->later;
  s->ready++;
}

void tiny_scheduler_forget(tiny_scheduler *s, const tiny_generation *g) {
  for (tiny_task **at = &s->first; *at;) {
    tiny_task *task = *at;
    if (task->generation != g) {
      at = &task->later;
      continue;
    }
    *at = task->later;
    if (!*at) s->last = at;
    s->ready--;
    task->queued = false;
  }
}

unsigned tiny_scheduler_ready(const tiny_scheduler *s) { return s->ready; }
