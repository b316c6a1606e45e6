/* SPDX-License-Identifier: MIT
 * api_saver.c -- tiny.core.saver: self:checkpoint. */
#include "runtime.h"
#include "saver.h"

#include <lauxlib.h>

static tiny_saver *saver_of(lua_State *L) { return tiny_generation_of(L)->runtime->saver; }

static int refuse(lua_State *L, int rc, const char *why) {
  tiny_saver_failed(saver_of(L), rc, why);
  lua_pushnil(L);
  lua_pushboolean(L, false);
  return 2;
}

/* save() -> nil, ok: waits until the context, as it is now or later, is on disk */
static int l_save(lua_State *L) {
  tiny_task *task = tiny_task_here(L, "self:checkpoint");
  tiny_generation *g = task->generation;
  if (!tiny_saver_wanted(g->conf))
    return refuse(L, UV_ENOTSUP, "checkpoints are off (svr.checkpoint.span is 0)");
  if (g->life == TINY_DRAINING) return refuse(L, UV_ECANCELED, TINY_SAVER_SUPERSEDED);
  return tiny_saver_park(saver_of(L), task);
}

/* why() -> message, name: of the last that failed */
static int l_why(lua_State *L) {
  int rc;
  lua_pushstring(L, tiny_saver_why(saver_of(L), &rc));
  lua_pushstring(L, uv_err_name(rc));
  return 2;
}

static const luaL_Reg functions[] = {{"save", l_save}, {"why", l_why}, {NULL, NULL}};

int luaopen_tiny_saver(lua_State *L) {
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
