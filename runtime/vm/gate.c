/* SPDX-License-Identifier: MIT
 * gate.c -- tiny.core.gate: a line of tasks that wait to be let through, first come first
 * served. What queues are made of (lua/tiny/queue.lua). */
#include "runtime.h"
#include "task.h"

#include <lauxlib.h>

#define GATE "tiny.gate"

typedef struct gate {
  tiny_task *first, **last;
} gate;

/* new() -> gate. Tasks that wait keep it alive by their stacks. */
static int l_new(lua_State *L) {
  gate *g = lua_newuserdata(L, sizeof *g);
  *g = (gate){NULL, &g->first};
  luaL_getmetatable(L, GATE);
  lua_setmetatable(L, -2);
  return 1;
}

static void leave(tiny_task *task) {
  gate *g = task->source;
  tiny_task **at = &g->first;
  while (*at != task) at = &(*at)->later;
  *at = task->later;
  if (!*at) g->last = at;
}

/* wait(gate, what): until wake() comes to this task. 'what' is the wait's name in Lua */
static int l_wait(lua_State *L) {
  gate *g = luaL_checkudata(L, 1, GATE);
  tiny_task *task = tiny_task_here(L, luaL_checkstring(L, 2));
  task->later = NULL;
  *g->last = task;
  g->last = &task->later;
  return tiny_task_park(task, leave, g);
}

/* wake(gate) -> whether somebody waited: the first one goes on in the next turn, even when it
 * is cancelled meanwhile */
static int l_wake(lua_State *L) {
  gate *g = luaL_checkudata(L, 1, GATE);
  tiny_task *task = g->first;
  lua_pushboolean(L, task != NULL);
  if (!task) return 1;
  leave(task);
  tiny_task_wake(task);
  return 1;
}

static const luaL_Reg functions[] = {
    {"new", l_new}, {"wait", l_wait}, {"wake", l_wake}, {NULL, NULL}};

int luaopen_tiny_gate(lua_State *L) {
  luaL_newmetatable(L, GATE);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
