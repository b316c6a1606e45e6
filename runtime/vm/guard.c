/* SPDX-License-Identifier: MIT
 * guard.c -- wrapped library functions. Each keeps the original as its upvalue. */
#include "guard.h"
#include "interrupt.h"

#include <lauxlib.h>
#include <luajit.h>
#include <stdbool.h>

typedef struct guard {
  bool wished; /* by the script */
  tiny_jit allowed;
  bool hook_locked;
} guard;

static const char guard_key;

static guard *guard_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&guard_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  guard *g = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return g;
}

static void apply(lua_State *L, const guard *g) {
  bool on = g->wished && g->allowed == TINY_JIT_ON;
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
}

void tiny_guard_jit(lua_State *L, tiny_jit jit) {
  guard *g = guard_of(L);
  if (g->allowed != TINY_JIT_NEVER) g->allowed = jit;
  apply(L, g);
}

void tiny_guard_lock_hook(lua_State *L, bool locked) { guard_of(L)->hook_locked = locked; }

static int fail(lua_State *L) { return lua_error(L); }

/* LuaJIT takes a coroutine that dies for the end of the hook. */
int tiny_guard_raise(lua_State *L) {
  lua_State *co = lua_newthread(L);
  lua_pushcfunction(co, fail);
  lua_resume(co, 0);
  lua_pop(L, 1);
  return lua_error(L);
}

static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* jit.on() and off() of one function or, with true, of the caller's: the script's own business.
 * Not passed on to the original, whose caller would be the wrapper. */
static int set_function(lua_State *L, int mode) {
  int index = lua_isfunction(L, 1) ? 1 : 0;
  luaL_argcheck(L, index || (lua_isboolean(L, 1) && lua_toboolean(L, 1)), 1, "function expected");
  if (!lua_isboolean(L, 2))
    mode |= LUAJIT_MODE_FUNC;
  else
    mode |= lua_toboolean(L, 2) ? LUAJIT_MODE_ALLFUNC : LUAJIT_MODE_ALLSUBFUNC;
  luaL_argcheck(L, luaJIT_setmode(L, index, mode) == 1, 1, "Lua function expected");
  return 0;
}

static int wish_jit(lua_State *L, bool on) {
  if (!lua_isnoneornil(L, 1)) return set_function(L, on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF);
  guard *g = guard_of(L);
  g->wished = on;
  apply(L, g);
  return 0;
}

static int l_jit_on(lua_State *L) { return wish_jit(L, true); }
static int l_jit_off(lua_State *L) { return wish_jit(L, false); }

/* While Lua is loaded or stopped the hook is not the script's to change. */
static int l_sethook(lua_State *L) {
  bool ours = guard_of(L)->hook_locked || tiny_interrupt_stopping();
  return ours ? 0 : call_original(L);
}

static int l_profile(lua_State *L) {
  return luaL_error(L, "LuaJIT's profiler belongs to the runtime: use 'tiny profile'");
}

static int open_profile(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"start", l_profile}, {"stop", l_profile}, {"dumpstack", l_profile}, {NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}

/* Replace field 'name' of the table on top by a wrapper of it. */
static void wrap(lua_State *L, const char *name, lua_CFunction wrapper) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, wrapper, 1);
  lua_setfield(L, -2, name);
}

int tiny_guard_open(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&guard_key);
  guard *g = lua_newuserdata(L, sizeof *g);
  *g = (guard){.wished = true, .allowed = TINY_JIT_OFF};
  lua_rawset(L, LUA_REGISTRYINDEX);
  apply(L, g);

  lua_getglobal(L, "jit");
  wrap(L, "on", l_jit_on);
  wrap(L, "off", l_jit_off);
  lua_getglobal(L, "debug");
  wrap(L, "sethook", l_sethook);
  lua_getfield(L, LUA_REGISTRYINDEX, "_PRELOAD");
  lua_pushcfunction(L, open_profile);
  lua_setfield(L, -2, "jit.profile");
  return 0;
}
