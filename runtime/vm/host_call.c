/* SPDX-License-Identifier: MIT
 * host_call.c -- tiny.h where it meets Lua: the program's own modules, and its calls. */
#include "host.h"
#include "runtime.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

/* One call, in the C stack of tiny_call(). */
typedef struct call {
  lua_CFunction function;
  void *data;
} call;

static int run_call(lua_State *L) {
  call *c = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, c->data);
  lua_replace(L, 1);
  return c->function(L);
}

static int add_trace(lua_State *L) {
  if (!lua_isstring(L, 1) && !luaL_callmeta(L, 1, "__tostring"))
    lua_pushfstring(L, "error value is a %s", luaL_typename(L, 1));
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

void tiny_host_open(lua_State *L, tiny *rt) {
  tiny_generation *g = tiny_generation_of(L);
  lua_pushcfunction(L, run_call);
  g->run_call = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, add_trace);
  g->add_trace = luaL_ref(L, LUA_REGISTRYINDEX);
  g->server = LUA_REFNIL;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload"); /* package preload */
  for (const tiny_library *l = rt->host.libraries; l && l->name; l++) {
    lua_pushcfunction(L, l->open);
    lua_setfield(L, -2, l->name);
  }
  lua_pop(L, 2);
}

/* Returns 0, or 1 with the error on the stack. */
static int call_in(tiny_generation *g, call *c) {
  lua_State *L = g->L;
  tiny_visit visit;
  tiny_lua_enter(g, &visit, L, NULL, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->add_trace);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->run_call);
  lua_pushlightuserdata(L, c); /* add_trace run_call c */
  int status = lua_pcall(L, 1, 0, -3);
  lua_remove(L, status == 0 ? -1 : -2);
  tiny_stop stop = tiny_lua_leave(g, &visit);
  if (status == LUA_ERRMEM) tiny_allocator_recover(&g->allocator, L);
  if (stop && status != 0) lua_pop(L, 1);
  if (stop) lua_rawgeti(L, LUA_REGISTRYINDEX, g->stops[stop]);
  return stop || status != 0;
}

int tiny_call(tiny *rt, lua_CFunction function, void *data, char *why, size_t why_size) {
  int rc = tiny_host_check(rt);
  if (rc != 0) return rc;
  if (!function) return -EINVAL;
  if (atomic_load_explicit(&rt->state.busy_since, memory_order_relaxed)) return -EBUSY;
  if (!rt->host.serving) return rt->closing.begun || rt->finished ? -ESHUTDOWN : -EAGAIN;
  rt->host.stirred = true;
  tiny_generation *g = rt->current;
  if (call_in(g, &(call){function, data}) == 0) return 0;
  const char *text = lua_tostring(g->L, -1);
  snprintf(why, why_size, "%s", text ? text : "not enough memory");
  lua_pop(g->L, 1);
  return 1;
}

tiny *tiny_of(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  return g ? g->runtime : NULL;
}

void *tiny_data(const tiny *rt) { return rt->host.data; }

bool tiny_loading(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  return g && g->life < TINY_ENTERED;
}

void tiny_push_server(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  if (g)
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->server);
  else
    lua_pushnil(L);
}
