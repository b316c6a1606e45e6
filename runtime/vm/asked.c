/* SPDX-License-Identifier: MIT
 * asked.c -- what other threads ask of the loop: reload, close, eval, a stack, new log levels. */
#include "api_log.h"
#include "runtime.h"

static void on_eval_end(tiny_task *task) {
  tiny_ask *ask = task->data;
  if (!task->failed) {
    tiny_ask_done(ask, true, lua_tostring(task->co, -1));
    return;
  }
  tiny_failure failure = tiny_task_failure(task);
  tiny_ask_done(ask, false, failure.trace ? failure.trace : "not enough memory");
  tiny_failure_free(&failure);
}

static void eval(tiny *rt, tiny_ask *ask) {
  tiny_task *task = NULL;
  bool serves = rt->current && rt->current->life == TINY_ENTERED;
  if (serves)
    task = tiny_generation_start(rt->current, TINY_TASK_GO, "eval", ask->text, on_eval_end);
  if (!task) {
    tiny_ask_done(ask, false, serves ? "not enough memory" : "no generation is in force");
    return;
  }
  task->data = ask;
  task->limit_ns = (uint64_t)(ask->seconds * 1e9);
  lua_pushnumber(task->co, ask->seconds); /* for its waits */
  task->passes = 2;
}

/* Who waits for that is told when it has closed. */
static void close_for(tiny *rt, tiny_ask *ask) {
  if (!rt->finished) tiny_closing_ask(rt, "close", ask->seconds, ask->code);
  ask->next = rt->host.closers;
  if (ask->answer)
    rt->host.closers = ask;
  else
    tiny_ask_done(ask, true, "closing");
}

void tiny_asked(void *data, tiny_ask *ask) {
  tiny *rt = data;
  switch (ask->kind) {
  case TINY_ASK_RELOAD:
    if (rt->finished)
      tiny_ask_done(ask, false, "refused: the server has closed");
    else
      tiny_change_ask(rt, ask);
    break;
  case TINY_ASK_EVAL: eval(rt, ask); break;
  case TINY_ASK_STACK: tiny_hung_parked(rt, ask); break;
  case TINY_ASK_CALL: ask->call(ask); break;
  case TINY_ASK_CLOSE: close_for(rt, ask); break;
  }
}

/* The log's levels have changed: tell the states that run. Their Lua asks nobody before
 * it makes a line. */
static void refresh_levels(tiny_ask *ask) {
  tiny *rt = ask->data;
  tiny_generation *to = rt->change.to;
  if (rt->current) tiny_log_refresh(rt->current->L);
  if (to && to->life == TINY_ENTERED) tiny_log_refresh(to->L);
  for (tiny_generation *g = rt->draining; g; g = g->next) tiny_log_refresh(g->L);
  tiny_ask_done(ask, true, "");
}

void tiny_asked_levels(void *data) {
  tiny *rt = data;
  tiny_inbox_call(rt->inbox, refresh_levels, rt);
}
