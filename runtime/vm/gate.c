/* SPDX-License-Identifier: MIT
 * gate.c -- tiny.core.gate: a line of tasks that wait to be let through, first come first
 * served. What queues are made of (lua/tiny/queue.lua). */
#include "runtime.h"
#include "waiters.h"

#include <lauxlib.h>

#define GATE "tiny.gate"

/* new() -> gate. Tasks that wait keep it alive by their stacks. */
static int l_new(lua_State *L) {
  tiny_waiters *gate = lua_newuserdata(L, sizeof *gate);
  *gate = (tiny_waiters){0};
  luaL_getmetatable(L, GATE);
  lua_setmetatable(L, -2);
  return 1;
}

static void leave(tiny_task *task) { tiny_waiters_remove(task->source, task); }

/* wait(gate, what): until wake() comes to this task. 'what' is the wait's name in Lua */
static int l_wait(lua_State *L) {
  tiny_waiters *gate = luaL_checkudata(L, 1, GATE);
  tiny_task *task = tiny_task_here(L, luaL_checkstring(L, 2));
  tiny_waiters_add(gate, task);
  return tiny_task_park(task, leave, gate);
}

/* wake(gate) -> whether somebody waited: the first one goes on in the next turn, even when it
 * is cancelled meanwhile */
static int l_wake(lua_State *L) {
  tiny_waiters *gate = luaL_checkudata(L, 1, GATE);
  lua_pushboolean(L, gate->first != NULL);
  tiny_waiters_wake(gate, 1);
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
