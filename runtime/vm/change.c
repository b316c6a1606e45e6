/* SPDX-License-Identifier: MIT
 * change.c -- asking for a change of generation: when it can begin, and when no longer. */
#include "change.h"

#include <string.h>

static void refuse_closing(tiny *rt, tiny_ask *asks) {
  const char *reason = rt->closing.reason; /* NULL when it could not start */
  bool hung = reason && strcmp(reason, "hung") == 0;
  const char *text = hung ? "refused: hung" : "refused: the server is closing";
  tiny_err(rt->log, "reload %s", text);
  tiny_state_reloaded(&rt->state, false, text);
  tiny_asks_answer(asks, false, text);
}

void tiny_change_abort(tiny *rt) {
  tiny_change *c = &rt->change;
  if (rt->loading) tiny_change_abandon(rt, "the server is closing");
  if (c->under_way) return; /* it comes to its end first: an on_start that waits is cancelled */
  tiny_ask *asks = c->asks;
  c->asks = NULL;
  c->wanted = false;
  if (asks) refuse_closing(rt, asks);
}

void tiny_change_ask(tiny *rt, tiny_ask *ask) {
  tiny_change *c = &rt->change;
  tiny_ask **at = c->under_way ? &c->later : &c->asks;
  if (rt->closing.wanted) {
    refuse_closing(rt, ask);
    return;
  }
  while (*at) at = &(*at)->next;
  ask->next = NULL;
  *at = ask;
  c->wanted = true;
}
