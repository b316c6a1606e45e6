/* SPDX-License-Identifier: MIT
 * lua_target.c -- targets written in Lua: a script that returns a function of the bytes, which raises
 * an error when the code under it has done wrong. Each line that runs counts as a place of the
 * program for libFuzzer, so that it finds its way in Lua as it does in C. */
#include "fuzz.h"

#include "conf.h"
#include "conf_take.h"
#include "log_settings.h"
#include "modules.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>

enum { PLACES = 1 << 14 };

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t places[PLACES];

static lua_State *L;

static void on_line(lua_State *at, lua_Debug *line) {
  lua_getinfo(at, "S", line);
  places[fuzz_hash(FUZZ_HASH, line->source, strlen(line->source)) * 31u % PLACES ^
         (unsigned)line->currentline % PLACES]++;
}

/* package.loaders: what is compiled in. */
static int find_module(lua_State *state) {
  const char *name = luaL_checkstring(state, 1);
  for (const tiny_module *m = tiny_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    if (luaL_loadbuffer(state, (const char *)m->code, m->size, name) != 0) return lua_error(state);
    return 1;
  }
  return 0;
}

/* accept(conf) -> nil | why: whether C takes what conf.lua's checks have taken. */
static int l_accept(lua_State *state) {
  char why[512] = "";
  json_t *keys = tiny_conf_take(state, 1, why, sizeof why);
  tiny_conf *conf = keys ? tiny_conf_new(keys, "conf.lua") : NULL;
  tiny_log_settings *settings = conf ? tiny_log_settings_new(conf, why, sizeof why) : NULL;
  bool taken = settings != NULL;
  if (conf) FUZZ_CHECK(json_is_object(tiny_conf_masked(conf)));
  tiny_log_settings_free(settings);
  tiny_conf_drop(conf);
  if (taken) return 0;
  lua_pushstring(state, why);
  return 1;
}

static void check(int rc) {
  if (rc == 0) return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  abort();
}

static void close_state(void) { lua_close(L); }

static void open_state(void) {
  L = luaL_newstate();
  FUZZ_CHECK(L != NULL);
  luaL_openlibs(L);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  atexit(close_state);
  check(luaL_loadstring(L, "table.insert(package.loaders, 1, ...)"));
  lua_pushcfunction(L, find_module);
  check(lua_pcall(L, 1, 0, 0));
  lua_pushcfunction(L, l_accept);
  lua_setfield(L, LUA_REGISTRYINDEX, "accept");
  lua_getglobal(L, "debug");
  lua_getfield(L, -1, "traceback");
  check(luaL_loadfile(L, FUZZ_SCRIPT));
  check(lua_pcall(L, 0, 1, 0)); /* debug traceback target */
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!L) open_state();
  lua_pushvalue(L, 3);
  lua_pushlstring(L, (const char *)data, size);
  check(lua_pcall(L, 1, 0, 2));
  FUZZ_CHECK(lua_gettop(L) == 3);
  return 0;
}
