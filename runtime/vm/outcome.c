/* SPDX-License-Identifier: MIT
 * outcome.c -- how a change of generation ended, told to log, feed, service manager and whoever
 * asked for it. */
#include "change.h"

#include <stdio.h>
#include <stdlib.h>

void tiny_asks_answer(tiny_ask *ask, bool ok, const char *text) {
  while (ask) {
    tiny_ask *next = ask->next;
    tiny_ask_done(ask, ok, text);
    ask = next;
  }
}

/* Requests that came meanwhile are one more change. */
void tiny_change_finish(tiny *rt, bool ok, const char *text) {
  if (rt->current && !rt->closing.begun) tiny_notify_ready(rt->notify, text);
  tiny_change *c = &rt->change;
  tiny_ask *asks = c->asks;
  c->to = c->from = NULL;
  c->under_way = false;
  c->asks = c->later;
  c->later = NULL;
  c->wanted = c->asks != NULL;
  tiny_stage(rt, NULL, 0);
  tiny_asks_answer(asks, ok, text);
}

void tiny_change_unstarted(tiny *rt, int code) {
  tiny_notify_status(rt->notify, rt->change.why);
  if (rt->closing.wanted)
    tiny_info(rt->log, "closed while starting");
  else
    tiny_err(rt->log, "cannot start: %s", rt->change.why);
  rt->exit_code = rt->closing.wanted ? rt->closing.code : code;
  rt->finished = true;
  tiny_change_finish(rt, false, rt->change.why);
}

static void refuse(tiny *rt, const char *then) {
  char text[TINY_WHY + 64];
  snprintf(text, sizeof text, "refused: %s; generation %llu %s", rt->change.why,
           (unsigned long long)rt->current->number, then);
  tiny_err(rt->log, "reload %s", text);
  tiny_state_reloaded(&rt->state, false, text);
  tiny_change_finish(rt, false, text);
}

void tiny_change_refused(tiny *rt) {
  if (rt->current)
    refuse(rt, "goes on");
  else
    tiny_change_unstarted(rt, rt->last_number == 0 ? TINY_EXIT_START : TINY_EXIT_ERROR);
}

void tiny_change_lost(tiny *rt) {
  rt->current->life = TINY_LOADED; /* no on_start, so no on_close */
  refuse(rt, "could not be resumed, the server ends");
  if (!rt->step_cancelled || !rt->closing.wanted) tiny_closing_ask(rt, "error", 0, TINY_EXIT_ERROR);
}

static void tell_conf(tiny *rt) {
  const tiny_conf *conf = rt->current->conf;
  if (!tiny_conf_bool(conf, "svr.log_conf_on_reload")) return;
  char *text = json_dumps(tiny_conf_masked(conf), JSON_SORT_KEYS | JSON_ENCODE_ANY);
  if (text) tiny_info(rt->log, "configuration: %s", text);
  free(text);
}

static void succeed(tiny *rt, const char *text) {
  tiny_change_finish(rt, true, text);
  tell_conf(rt);
}

void tiny_change_started(tiny *rt) {
  tiny_info(rt->log, "started: generation %llu", (unsigned long long)rt->current->number);
  succeed(rt, "started");
}

void tiny_change_standing(tiny *rt) {
  tiny_info(rt->log, "standing by: generation %llu", (unsigned long long)rt->current->number);
  succeed(rt, "standing by");
}

void tiny_change_reloaded(tiny *rt) {
  char text[128];
  double pause_ms = (double)(tiny_timers_now() - rt->change.paused_at) / 1e6;
  snprintf(text, sizeof text, "reloaded: generation %llu, pause %.1f ms",
           (unsigned long long)rt->current->number, pause_ms);
  tiny_info(rt->log, "%s", text);
  tiny_state_reloaded(&rt->state, true, text);
  succeed(rt, text);
}
