/* SPDX-License-Identifier: MIT
 * zholder.c -- a generation's hold of a ZeroMQ socket, and the handler that gets the messages: each
 * in a task of its own. */
#include "runtime.h"
#include "zsocket.h"

#include <lauxlib.h>
#include <stdlib.h>

enum { BATCH = 64 }; /* messages in one turn */

tiny_zholder *tiny_zholder_new(tiny_generation *g) {
  tiny_zholder *h = calloc(1, sizeof *h);
  if (h) *h = (tiny_zholder){.generation = g, .handler = LUA_NOREF, .limit = 1};
  return h;
}

static void free_holder(tiny_zholder *h) {
  luaL_unref(h->generation->L, LUA_REGISTRYINDEX, h->handler);
  free(h);
}

void tiny_zholder_leave(tiny_zholder *h) {
  h->left = true;
  if (h->live == 0) free_holder(h);
}

void tiny_zholder_handle(tiny_zholder *h, lua_State *L, unsigned limit) {
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_unref(L, LUA_REGISTRYINDEX, h->handler);
  h->handler = handler;
  h->limit = h->socket->is_rep ? 1 : limit;
}

bool tiny_zholder_delivers(const tiny_zholder *h) {
  return h->handler != LUA_NOREF && h->live < h->limit;
}

/* A REP takes no further request before it has answered, so one whose handler failed to do that
 * answers for it: nothing. */
static void answer_for(tiny_zholder *h) {
  tiny_zsocket *z = h->socket;
  if (z->asked == h && z->zmq) tiny_zsocket_send(z, &(tiny_zmq_part){"", 0}, 1);
}

/* The next one may begin; the socket may be another's by now. */
static void on_end(tiny_task *task) {
  tiny_zholder *h = task->data;
  tiny_zsocket *z = h->socket;
  if (task->failed) answer_for(h);
  tiny_task_report(task);
  h->live--;
  if (h->left && h->live == 0) free_holder(h);
  tiny_zsocket_want(z);
  tiny_zsocket_drop(z);
}

typedef struct begin_call {
  tiny_zholder *holder;
  const tiny_zmq_part *parts;
  int count;
  tiny_task *task;
} begin_call;

static int begin_protected(lua_State *L) {
  begin_call *call = lua_touserdata(L, 1);
  luaL_checkstack(L, call->count + 4, "too many parts");
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->holder->handler);
  for (int i = 0; i < call->count; i++)
    lua_pushlstring(L, call->parts[i].data, call->parts[i].size);
  tiny_task *task = tiny_task_new(L, call->holder->generation, TINY_TASK_REQUEST);
  if (!lua_checkstack(task->co, call->count + 1)) return luaL_error(L, "too many parts");
  lua_xmove(L, task->co, call->count + 1);
  call->task = task;
  return 0;
}

static void begin(tiny_zholder *h, const tiny_zmq_part *parts, int count) {
  begin_call call = {h, parts, count, NULL};
  tiny_generation *g = h->generation;
  if (h->socket->is_rep) h->socket->asked = h;
  if (tiny_lua_call(g, begin_protected, &call) == 0) {
    call.task->on_end = on_end;
    call.task->data = h;
    h->live++;
    h->socket->refs++;
    tiny_task_run(call.task, count);
    return;
  }
  tiny_err(g->runtime->log, "a message was lost: %s", lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
  answer_for(h);
}

/* Whose turn it is to send (REP) has nothing to give: it is asked again later. */
void tiny_zholder_deliver(tiny_zsocket *z) {
  for (int i = 0; i < BATCH && z->zmq && z->flows; i++) {
    tiny_zholder *h = tiny_zsocket_holder(z);
    const tiny_zmq_part *parts;
    int count;
    if (!tiny_zholder_delivers(h) || tiny_zsocket_receive(z, &parts, &count) != 0) return;
    begin(h, parts, count);
  }
}
