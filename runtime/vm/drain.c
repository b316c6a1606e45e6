/* SPDX-License-Identifier: MIT
 * drain.c -- the way out of a generation: made quiet, drained of what is in flight, retired on
 * the loop thread, closed in a helper. */
#include "executor.h"
#include "parked.h"
#include "runtime.h"

#include <stdlib.h>

bool tiny_quiet(const tiny_generation *g) {
  return tiny_tasks_count(g, TINY_TASK_RUN, false) == 0 &&
         tiny_tasks_count(g, TINY_TASK_TIMER, false) == 0 &&
         tiny_tasks_count(g, TINY_TASK_GO, false) == 0;
}

void tiny_quiesce(tiny_generation *g) {
  /* The interrupt that a close sends to Lua which is overdue may hit this, and is spent then. */
  if (tiny_generation_call(g, "stop") != 0) tiny_generation_call(g, "stop");
  tiny_tasks_cancel(g);
}

uint64_t tiny_quiet_ms(const tiny_generation *g) {
  uint64_t ms = tiny_conf_ms(g->conf, "svr.close.wait_lock_delay");
  return ms ? ms : 1; /* 0 is never, to a stage */
}

/* What it has open means nothing any longer without a task that could use it. */
static bool spent(const tiny_generation *g) { return tiny_tasks_total(g) == 0; }

static void on_cut(uv_timer_t *timer) { (void)timer; }

void tiny_drain(tiny *rt, tiny_generation *g, uint64_t ms) {
  g->life = TINY_DRAINING;
  g->next = rt->draining;
  rt->draining = g;
  g->drain_deadline = tiny_timers_now() + ms * 1000000u;
  if (spent(g)) return;
  uv_timer_init(&rt->loop, &g->drain_timer);
  g->drain_timer_open = true;
  uv_update_time(&rt->loop);
  uv_timer_start(&g->drain_timer, on_cut, ms + 1, 0);
}

static void close_state(tiny_job *job) { tiny_generation_close(job->data); }

static void on_state_closed(tiny_job *job) {
  atomic_fetch_sub(&job->runtime->state.generations_alive, 1);
  free(job);
}

/* From here on no Lua of it runs. Large heaps take long to close: off the loop. */
static void close_later(tiny *rt, tiny_generation *g) {
  tiny_job *job = calloc(1, sizeof *job);
  if (job) {
    *job = (tiny_job){.work = close_state, .done = on_state_closed, .data = g};
    if (tiny_job_start(rt, job) == 0) return;
  }
  free(job);
  tiny_generation_close(g);
  atomic_fetch_sub(&rt->state.generations_alive, 1);
}

static void on_timer_closed(uv_handle_t *handle) {
  tiny_generation *g = handle->data;
  close_later(g->runtime, g);
}

void tiny_retire(tiny *rt, tiny_generation *g) {
  g->life = TINY_DEAD;
  if (rt->interrupt) tiny_interrupt_let_go(rt->interrupt, g->L);
  tiny_executor_stop(g);
  tiny_tasks_abandon(g);
  if (rt->sockets) tiny_sockets_retire(rt->sockets, g);
  if (!g->drain_timer_open) {
    close_later(rt, g);
    return;
  }
  g->drain_timer.data = g;
  uv_close((uv_handle_t *)&g->drain_timer, on_timer_closed);
}

static tiny_draining what_holds(const tiny_generation *g) {
  return (tiny_draining){.number = g->number,
                         .tasks = tiny_tasks_total(g),
                         .requests = tiny_tasks_of_requests(g),
                         .handles = g->handles};
}

void tiny_drain_show(tiny *rt) {
  tiny_draining list[TINY_DRAINING_SHOWN];
  unsigned count = 0;
  if (!rt->draining && !rt->shows_draining) return;
  for (tiny_generation *g = rt->draining; g && count < TINY_DRAINING_SHOWN; g = g->next)
    list[count++] = what_holds(g);
  rt->shows_draining = count > 0;
  tiny_state_draining(&rt->state, list, count);
}

/* A leak is to be found by this: what still waits, and where it was started. */
static void warn_of_rest(tiny *rt, const tiny_generation *g) {
  char text[8192];
  tiny_draining d = what_holds(g);
  tiny_report report = tiny_report_begin(text, sizeof text);
  tiny_parked_put(&report, g);
  tiny_parked_put_handles(&report, g);
  tiny_warn(rt->log,
            "generation %llu is ended with %u tasks (%u of requests) and %u handles left:\n%s",
            (unsigned long long)d.number, d.tasks, d.requests, d.handles, text);
}

void tiny_drain_turn(tiny *rt) {
  for (tiny_generation **at = &rt->draining; *at;) {
    tiny_generation *g = *at;
    bool late = tiny_timers_now() >= g->drain_deadline;
    if (!spent(g) && !late) {
      at = &g->next;
      continue;
    }
    if (!spent(g)) warn_of_rest(rt, g);
    *at = g->next;
    tiny_retire(rt, g);
  }
}

void tiny_drain_hurry(tiny *rt) {
  for (tiny_generation *g = rt->draining; g; g = g->next) g->drain_deadline = 0;
}
