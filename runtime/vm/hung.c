/* SPDX-License-Identifier: MIT
 * hung.c -- the loop thread's side of a hang: what the control thread has told or asked of it. */
#include "parked.h"
#include "runtime.h"

#include <stdio.h>
#include <unistd.h>

enum { TEXT_SIZE = 8192 };

/* -- what waits, when nothing runs -- */

void tiny_hung_parked(tiny *rt, tiny_ask *ask) {
  char text[TEXT_SIZE];
  tiny_report report = tiny_report_begin(text, sizeof text);
  tiny_report_put(&report, "nothing runs; what waits:\n");
  size_t before = report.used;
  const tiny_generation *next = rt->change.to;
  if (rt->current) tiny_parked_put(&report, rt->current);
  if (next && next->life == TINY_ENTERED) tiny_parked_put(&report, next);
  if (report.used == before) tiny_report_put(&report, "nothing\n");
  tiny_ask_done(ask, true, text);
}

/* -- called on the control thread -- */

bool tiny_hung_look(void *data, char *text, size_t size) {
  tiny *rt = data;
  tiny_interrupt *interrupt = rt->interrupt;
  if (!interrupt) {
    snprintf(text, size, "this runtime may not interrupt Lua to look");
    return true;
  }
  tiny_doing doing = tiny_interrupt_look(interrupt, text, size);
  if (doing == TINY_DOING_UNKNOWN)
    snprintf(text, size,
             "the loop thread does not answer: it does not come out of the kernel, or gets no CPU");
  return doing != TINY_DOING_NOTHING;
}

/* The loop may have come back by itself: then this brings the news. */
static void on_hung(tiny_ask *ask) {
  tiny_hung_note(ask->data);
  tiny_ask_done(ask, true, "");
}

static void interrupt(void *data) {
  tiny *rt = data;
  if (rt->interrupt) tiny_interrupt_stop(rt->interrupt, TINY_STOP_HUNG);
  tiny_inbox_call(rt->inbox, on_hung, rt);
}

static void on_silence(tiny_ask *ask);

static void run_hung(void *data) {
  tiny *rt = data;
  tiny_inbox_call(rt->inbox, on_silence, rt);
}

static void log_stack(tiny *rt, const char *text) {
  tiny_warn(rt->log, "stack asked for: %s", text);
}

static void on_parked(tiny_ask *ask, bool ok, const char *text) {
  (void)ok;
  log_stack(ask->data, text);
}

/* As for `tiny stack`: what runs, or else what waits, which only the loop thread can tell. */
void tiny_hung_log(void *data) {
  char text[TEXT_SIZE];
  tiny *rt = data;
  bool runs = tiny_hung_look(rt, text, sizeof text);
  tiny_ask *ask = runs ? NULL : tiny_ask_new(TINY_ASK_STACK);
  if (!ask) {
    log_stack(rt, runs ? text : "nothing runs");
    return;
  }
  ask->answer = on_parked;
  ask->data = rt;
  tiny_inbox_post(rt->inbox, ask);
}

void tiny_hung_overdue(void *data) {
  tiny *rt = data;
  if (rt->interrupt) tiny_interrupt_stop(rt->interrupt, TINY_STOP_CLOSE);
}

/* A thousand times a second; Lua that is not held cannot be sampled. */
bool tiny_hung_profile(void *data) {
  tiny *rt = data;
  if (rt->interrupt) rt->profile = tiny_profile_begin(rt->interrupt, 1000000);
  return rt->profile != NULL;
}

char *tiny_hung_profiled(void *data) {
  tiny *rt = data;
  char *text = tiny_profile_end(rt->profile);
  rt->profile = NULL;
  return text;
}

/* -- on the loop thread -- */

void tiny_hung_note(tiny *rt) { tiny_closing_ask(rt, "hung", 0, TINY_EXIT_HUNG); }

/* No Lua runs, so there is none to interrupt: run gets the error at its wait. */
static void end_silence(tiny *rt, tiny_task *run) {
  if (tiny_conf_bool(rt->current->conf, "svr.watchdog.interrupt")) {
    tiny_task_stop(run, TINY_STOP_HUNG);
    tiny_hung_note(rt);
  } else {
    rt->exit_code = TINY_EXIT_HUNG;
    rt->finished = true;
  }
}

static void on_silence(tiny_ask *ask) {
  char text[TEXT_SIZE];
  tiny *rt = ask->data;
  uint64_t sign = atomic_load(&rt->state.run_sign);
  tiny_task *run = rt->current ? tiny_parked_run(rt->current) : NULL;
  if (run && sign && !rt->closing.wanted) {
    tiny_report report = tiny_report_begin(text, sizeof text);
    tiny_parked_put_task(&report, run);
    tiny_err(rt->log, "hung: run has not returned or reported for %.1f s\n%s",
             (double)(tiny_timers_now() - sign) / 1e9, text);
    tiny_state_hung(&rt->state, sign, text);
    end_silence(rt, run);
  }
  tiny_ask_done(ask, true, "");
}

/* -- opening and closing -- */

void tiny_hung_open(tiny *rt) {
  tiny_hang_parts parts = {
      .state = &rt->state,
      .log = rt->log,
      .control = rt->control,
      .notify = rt->notify,
      .thread = gettid(),
      .look = tiny_hung_look,
      .interrupt = interrupt,
      .run_hung = run_hung,
      .data = rt,
  };
  if (rt->interrupts) rt->interrupt = tiny_interrupt_open(tiny_task_describe);
  if (rt->interrupts && !rt->interrupt)
    tiny_err(rt->log, "no memory or timer to interrupt Lua with");
  rt->hang = tiny_hang_open(&parts);
}

void tiny_hung_watch(tiny *rt) {
  if (rt->hang) tiny_hang_refresh(rt->hang);
}

void tiny_hung_blind(tiny *rt) {
  if (rt->hang) tiny_hang_close(rt->hang);
  rt->hang = NULL;
}

void tiny_hung_close(tiny *rt) {
  tiny_interrupt_close(rt->interrupt);
  rt->interrupt = NULL;
}
