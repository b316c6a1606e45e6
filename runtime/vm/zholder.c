/* SPDX-License-Identifier: MIT
 * zholder.c -- a generation's hold of a ZeroMQ socket, and the handler that gets the messages.
 *
 * A *pump* (lua/tiny/zmq.lua) is a task that calls the handler with one message after the other. As long
 * as the handler does not wait, one pump takes all that comes: a task for each message would cost more
 * than the message. */
#include "runtime.h"
#include "zsocket.h"

#include <lauxlib.h>
#include <stdlib.h>

enum { BATCH = 256 }; /* messages before the others have their turn */

tiny_zholder *tiny_zholder_new(tiny_generation *g) {
  tiny_zholder *h = calloc(1, sizeof *h);
  if (h) *h = (tiny_zholder){.generation = g, .handler = LUA_NOREF, .pump = LUA_NOREF, .refs = 1};
  return h;
}

void tiny_zholder_drop(tiny_zholder *h) {
  if (--h->refs > 0) return;
  luaL_unref(h->generation->L, LUA_REGISTRYINDEX, h->handler);
  luaL_unref(h->generation->L, LUA_REGISTRYINDEX, h->pump);
  free(h);
}

static void replace(lua_State *L, int *ref) {
  int fresh = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  *ref = fresh;
}

void tiny_zholder_handle(tiny_zholder *h, lua_State *L, unsigned limit) {
  replace(L, &h->pump);
  replace(L, &h->handler);
  h->limit = h->socket->is_rep ? 1 : limit;
}

bool tiny_zholder_delivers(const tiny_zholder *h) {
  return h->handler != LUA_NOREF && h->pumps < h->limit;
}

/* Another pump may begin; the socket may be another's by now. */
static void on_end(tiny_task *task) {
  tiny_zholder *h = task->data;
  tiny_zsocket *z = h->socket;
  if (task->failed && z->asked == h) tiny_zsocket_answer_nothing(z);
  tiny_task_report(task);
  h->pumps--;
  tiny_zholder_drop(h);
  tiny_zsocket_want(z);
  tiny_zsocket_drop(z);
}

/* pump(holder) */
static int push_pump(lua_State *L, void *data) {
  const tiny_zholder *h = data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, h->pump);
  lua_pushlightuserdata(L, data);
  return 2;
}

/* Returns -1 when out of memory: the messages wait where they are. */
static int begin(tiny_zholder *h) {
  tiny_task *task =
      tiny_task_begin(h->generation, TINY_TASK_REQUEST, push_pump, h, "ZeroMQ messages wait");
  if (!task) return -1;
  task->on_end = on_end;
  task->data = h;
  h->pumps++;
  h->refs++;
  h->socket->refs++;
  tiny_task_run(task, 1);
  return 0;
}

/* A pump that is through has found no more, or gave way. */
void tiny_zholder_deliver(tiny_zholder *h) {
  h->refs++;
  h->batch = 0;
  unsigned before;
  do before = h->pumps;
  while (h->socket->flows && tiny_zholder_delivers(h) && begin(h) == 0 && h->pumps > before);
  tiny_zholder_drop(h);
}

static bool goes_on(tiny_zholder *h) {
  const tiny_zsocket *z = h->socket;
  return z->zmq && z->flows && tiny_zsocket_holder(z) == h && h->batch++ < BATCH &&
         !tiny_lua_lasts(h->generation);
}

int tiny_zholder_next(lua_State *L) {
  tiny_zholder *h = lua_touserdata(L, 1);
  const tiny_zmq_part *parts;
  int count;
  if (!goes_on(h) || tiny_zsocket_receive(h->socket, &parts, &count) != 0) return 0;
  if (h->socket->is_rep) h->socket->asked = h;
  h->generation->current->greed = 0;
  luaL_checkstack(L, count + 1, "too many parts");
  lua_rawgeti(L, LUA_REGISTRYINDEX, h->handler);
  for (int i = 0; i < count; i++) lua_pushlstring(L, parts[i].data, parts[i].size);
  return count + 1;
}
