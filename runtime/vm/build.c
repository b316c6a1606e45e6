/* SPDX-License-Identifier: MIT
 * build.c -- conf.lua and the script into a fresh state, with a deadline. */
#include "build.h"
#include "conf_push.h"
#include "conf_take.h"
#include "guard.h"
#include "runtime.h"

#include <lauxlib.h>
#include <stdio.h>

/* Once the deadline has passed it raises at every instruction: no pcall in a loop escapes. */
static void check_deadline(lua_State *L, lua_Debug *ar) {
  tiny_generation *g = tiny_generation_of(L);
  if (tiny_timers_now() < atomic_load(&g->load_deadline)) return;
  lua_sethook(L, check_deadline, LUA_MASKCOUNT, 1);
  if (!g->load_stopped[0] && lua_getinfo(L, "Sl", ar))
    snprintf(g->load_stopped, sizeof g->load_stopped,
             "%s:%d: still loading when its time was over (svr.load_timeout)", ar->short_src,
             ar->currentline);
  lua_pushstring(L, g->load_stopped);
  tiny_guard_raise(L);
}

typedef struct load_call {
  tiny_generation *generation;
  const char *conf, *script;
  uint64_t timeout_ms;
  char *why;
  size_t why_size;
  int rc;
} load_call;

static void set_deadline(tiny_generation *g, uint64_t ms) {
  atomic_store(&g->load_deadline, tiny_timers_now() + ms * 1000000u);
}

static int refuse_load(lua_State *L, load_call *call) {
  const char *why = lua_tostring(L, -1);
  snprintf(call->why, call->why_size, "%s", why ? why : "(error without a message)");
  return 0;
}

/* require(name), leaving the module on the stack */
static void require(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

/* Made now: a stop may come when there is no memory. */
static void take_stops(lua_State *L, tiny_generation *g) {
  for (int stop = 0; stop < TINY_STOPS; stop++) {
    lua_pushstring(L, tiny_stop_text(stop));
    g->stops[stop] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
}

static void take_driver(lua_State *L, tiny_generation *g) {
  require(L, "tiny.driver"); /* driver */
  require(L, "tiny.task");   /* driver task */
  lua_getfield(L, -1, "cancelled");
  g->cancelled = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  lua_newtable(L);
  g->context = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, -1);
  g->driver = luaL_ref(L, LUA_REGISTRYINDEX); /* driver */
}

/* Compiled code has been seen to crash where an allocation of it failed. */
static int limit_memory(lua_State *L, load_call *call) {
  tiny_generation *g = call->generation;
  double limit = tiny_conf_number(g->conf, "svr.lua.memory_limit");
  if (!(limit > 0)) return 0;
  tiny_guard_jit(L, TINY_JIT_NEVER);
  if (tiny_allocator_limit(&g->allocator, g->L, (size_t)limit) == 0) return 0;
  snprintf(call->why, call->why_size,
           "%s: svr.lua.memory_limit: %.0f bytes are not enough to begin with", call->conf, limit);
  return -1;
}

/* conf.lua first: it says how long the script may take. */
static int load_conf(lua_State *L, load_call *call) {
  tiny_generation *g = call->generation;
  lua_getfield(L, -1, "load_conf");
  lua_pushstring(L, call->conf);
  tiny_conf_push(L, g->shared);
  lua_call(L, 2, 2); /* driver conf why */
  if (lua_isnil(L, -2)) return refuse_load(L, call), -1;
  lua_pop(L, 1);
  json_t *keys = tiny_conf_take(L, -1, call->why, call->why_size);
  lua_pop(L, 1); /* driver */
  if (!keys) return -1;
  g->conf = tiny_conf_new(keys, call->conf);
  if (!g->conf) return luaL_error(L, "not enough memory");
  tiny_conf_share(g->conf, g->shared);
  g->shared = NULL;
  set_deadline(g, tiny_conf_ms(g->conf, "svr.load_timeout"));
  return limit_memory(L, call);
}

static int load_script(lua_State *L, load_call *call) {
  lua_getfield(L, -1, "load_script");
  if (call->script)
    lua_pushstring(L, call->script);
  else
    lua_pushnil(L);
  lua_call(L, 1, 2); /* driver ok why */
  if (!lua_toboolean(L, -2)) return refuse_load(L, call), -1;
  return 0;
}

static int load_protected(lua_State *L) {
  load_call *call = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP, 0); /* our own modules leave no garbage */
  take_stops(L, call->generation);
  take_driver(L, call->generation); /* call driver */
  lua_gc(L, LUA_GCRESTART, -1);     /* from what is there now */
  lua_sethook(L, check_deadline, LUA_MASKCOUNT, 1000);
  if (load_conf(L, call) == 0 && load_script(L, call) == 0) call->rc = 0;
  return 0;
}

int tiny_generation_load(tiny_generation *g, const char *conf, const char *script,
                         uint64_t timeout_ms, char *why, size_t why_size) {
  load_call call = {g, conf, script, timeout_ms, why, why_size, -1};
  if (tiny_generation_open(g) != 0) {
    snprintf(why, why_size, "no memory for a Lua state");
    return -1;
  }
  set_deadline(g, timeout_ms);
  tiny_guard_lock_hook(g->L, true);
  int status = lua_cpcall(g->L, load_protected, &call);
  tiny_guard_lock_hook(g->L, false);
  lua_sethook(g->L, NULL, 0, 0);
  if (status != 0) {
    const char *text = lua_tostring(g->L, -1);
    snprintf(why, why_size, "%s", text ? text : "(error without a message)");
    call.rc = -1;
  }
  lua_settop(g->L, 0);
  if (call.rc != 0 && g->load_stopped[0]) snprintf(why, why_size, "%s", g->load_stopped);
  return call.rc;
}
