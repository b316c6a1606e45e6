/* SPDX-License-Identifier: MIT
 * change.c -- asking for a change of generation: when it can begin, and when no longer. */
#include "change.h"

void tiny_change_abort(tiny *rt) {
  tiny_change *c = &rt->change;
  if (rt->loading) tiny_change_abandon(rt, "the server is closing");
  if (c->under_way) return; /* it goes to its end first */
  tiny_ask *asks = c->asks;
  c->asks = NULL;
  c->wanted = false;
  tiny_asks_answer(asks, false, "refused: the server is closing");
}

void tiny_change_ask(tiny *rt, tiny_ask *ask) {
  tiny_change *c = &rt->change;
  tiny_ask **at = c->under_way ? &c->later : &c->asks;
  if (rt->closing.wanted) {
    tiny_ask_done(ask, false, "refused: the server is closing");
    return;
  }
  while (*at) at = &(*at)->next;
  ask->next = NULL;
  *at = ask;
  c->wanted = true;
}
