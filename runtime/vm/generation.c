/* SPDX-License-Identifier: MIT
 * generation.c -- building a state, loading a script into it, calling its driver, closing it. */
#include "generation.h"
#include "api.h"
#include "api_log.h"
#include "carry.h"
#include "conf_take.h"
#include "guard.h"
#include "handle.h"
#include "modules.h"
#include "runtime.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char generation_key; /* its address is the registry key */

tiny_generation *tiny_generation_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&generation_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  tiny_generation *g = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return g;
}

tiny_generation *tiny_generation_acting(lua_State *L, const char *what) {
  tiny_generation *g = tiny_generation_of(L);
  if (g->life >= TINY_ENTERED) return g;
  luaL_where(L, 2);
  lua_pushfstring(
      L,
      g->of_thread
          ? "%s in a thread timer: it has a thread of its own and may block instead"
          : "%s while the script is being loaded: top-level code only defines, on_start acts",
      what);
  lua_concat(L, 2);
  lua_error(L);
  return NULL;
}

/* -- opening --------------------------------------------------------------- */

/* A package.loaders entry for the modules compiled in: they are never looked for on disk. */
static int find_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const tiny_module *m = tiny_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    if (luaL_loadbuffer(L, (const char *)m->code, m->size, name) != 0) return lua_error(L);
    return 1;
  }
  return 0;
}

static void add_finder(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaders"); /* package loaders */
  for (int i = (int)lua_objlen(L, -1); i >= 1; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, find_module);
  lua_rawseti(L, -2, 1);
  lua_getfield(L, -2, "preload"); /* package loaders preload */
  for (const luaL_Reg *m = tiny_core_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_pop(L, 3);
}

static int setup(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, (void *)&generation_key);
  lua_pushlightuserdata(L, g);
  lua_rawset(L, LUA_REGISTRYINDEX);
  tiny_log_bind(L, g->runtime->log);
  luaL_openlibs(L);
  lua_pushcfunction(L, tiny_guard_open);
  lua_call(L, 0, 0);
  add_finder(L);
  tiny_host_open(L, g->runtime);
  return 0;
}

tiny_generation *tiny_generation_open(tiny *runtime, uint64_t number) {
  tiny_generation *g = calloc(1, sizeof *g);
  if (!g) return NULL;
  g->runtime = runtime;
  g->scheduler = runtime->scheduler;
  g->number = number;
  g->L = luaL_newstate();
  if (g->L && lua_cpcall(g->L, setup, g) == 0) return g;
  tiny_generation_close(g);
  return NULL;
}

/* C modules may have left threads and callbacks behind: they stay mapped when their state goes. */
static int keep_modules(lua_State *L) {
  static const char prefix[] = "LOADLIB: ";
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    if (strncmp(key, prefix, sizeof prefix - 1) == 0)
      dlopen(key + sizeof prefix - 1, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
  return 0;
}

void tiny_generation_close(tiny_generation *g) {
  if (g->L) {
    lua_cpcall(g->L, keep_modules, NULL);
    lua_close(g->L);
  }
  tiny_conf_drop(g->conf);
  free(g);
}

/* -- loading --------------------------------------------------------------- */

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
           "svr.lua.memory_limit: %.0f bytes are not enough to begin with", limit);
  return -1;
}

/* conf.lua first: it says how long the script may take. */
static int load_conf(lua_State *L, load_call *call) {
  tiny_generation *g = call->generation;
  lua_getfield(L, -1, "load_conf");
  lua_pushstring(L, call->conf);
  lua_call(L, 1, 2); /* driver conf why */
  if (lua_isnil(L, -2)) return refuse_load(L, call), -1;
  lua_pop(L, 1);
  json_t *keys = tiny_conf_take(L, -1, call->why, call->why_size);
  lua_pop(L, 1); /* driver */
  if (!keys) return -1;
  g->conf = tiny_conf_new(keys, call->conf);
  if (!g->conf) return luaL_error(L, "not enough memory");
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
  take_stops(L, call->generation);
  take_driver(L, call->generation); /* call driver */
  lua_sethook(L, check_deadline, LUA_MASKCOUNT, 1000);
  if (load_conf(L, call) == 0 && load_script(L, call) == 0) call->rc = 0;
  return 0;
}

int tiny_generation_load(tiny_generation *g, const char *conf, const char *script,
                         uint64_t timeout_ms, char *why, size_t why_size) {
  load_call call = {g, conf, script, timeout_ms, why, why_size, -1};
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

/* -- calling the driver ---------------------------------------------------- */

typedef struct start_call {
  tiny_generation *generation;
  tiny_task_kind kind;
  const char *name, *argument;
  tiny_task *task;
} start_call;

static int start_protected(lua_State *L) {
  start_call *call = lua_touserdata(L, 1);
  tiny_generation *g = call->generation;
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->driver);
  lua_getfield(L, -1, call->name);
  if (call->argument)
    lua_pushstring(L, call->argument);
  else
    lua_pushnil(L);
  tiny_task *task = tiny_task_new(L, g, call->kind);
  lua_xmove(L, task->co, 2);
  tiny_task_ready(task, 1);
  call->task = task;
  return 0;
}

tiny_task *tiny_generation_start(tiny_generation *g, tiny_task_kind kind, const char *name,
                                 const char *argument, void (*on_end)(tiny_task *)) {
  start_call call = {g, kind, name, argument, NULL};
  if (tiny_lua_call(g, start_protected, &call) != 0) lua_pop(g->L, 1);
  if (call.task) call.task->on_end = on_end;
  if (call.task) call.task->name = name;
  return call.task;
}

static int call_protected(lua_State *L) {
  start_call *call = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->generation->driver);
  lua_getfield(L, -1, call->name);
  lua_call(L, 0, 0);
  return 0;
}

int tiny_generation_call(tiny_generation *g, const char *name) {
  start_call call = {g, TINY_TASK_STEP, name, NULL, NULL};
  if (tiny_lua_call(g, call_protected, &call) == 0) return 0;
  const char *text = lua_tostring(g->L, -1);
  tiny_err(g->runtime->log, "%s: %s", name, text ? text : "(error without a message)");
  lua_pop(g->L, 1);
  return -1;
}

/* -- entering -------------------------------------------------------------- */

static int push_context(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->driver);
  lua_getfield(L, -1, "context");
  lua_call(L, 0, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX,
              g->context); /* the slot was taken at loading: no memory needed */
  return 0;
}

static tiny_carry_terms context_terms(const tiny_generation *g) {
  return (tiny_carry_terms){
      .name = "context",
      .remedy = "keep it in self and make it again in on_start",
      .take = tiny_carried_take,
      .give = tiny_carried_give,
      .data = &g->runtime->change.carried,
  };
}

static int pack(tiny_generation *g, const tiny_carry_terms *terms, tiny_parcel *parcel, char *why,
                size_t why_size) {
  if (tiny_lua_call(g, push_context, g) != 0) {
    snprintf(why, why_size, "context: %s", lua_tostring(g->L, -1));
    lua_pop(g->L, 1);
    return -1;
  }
  lua_rawgeti(g->L, LUA_REGISTRYINDEX, g->context);
  int rc = tiny_carry_pack(g->L, -1, terms, parcel, why, why_size);
  lua_pop(g->L, 1);
  return rc;
}

static int unpack(tiny_generation *g, const tiny_carry_terms *terms, const tiny_parcel *parcel,
                  char *why, size_t why_size) {
  if (tiny_carry_unpack(g->L, parcel, terms, why, why_size) != 0) return -1;
  lua_rawseti(g->L, LUA_REGISTRYINDEX, g->context);
  return 0;
}

int tiny_generation_pack(tiny_generation *g, tiny_parcel *parcel, char *why, size_t why_size) {
  tiny_carry_terms terms = context_terms(g);
  return pack(g, &terms, parcel, why, why_size);
}

int tiny_generation_unpack(tiny_generation *g, const tiny_parcel *parcel, char *why,
                           size_t why_size) {
  tiny_carry_terms terms = context_terms(g);
  return unpack(g, &terms, parcel, why, why_size);
}

/* What a reload could hand over does not outlive the process: nil stands for it. */
static void *leave_out(lua_State *from, void *data) {
  (void)data;
  return (void *)(uintptr_t)tiny_handle_carries(from, -1);
}

static void give_nil(lua_State *to, void *taken, void *data) {
  (void)taken, (void)data;
  lua_pushnil(to);
}

static const tiny_carry_terms saved_terms = {
    .name = "context",
    .remedy = "keep it in self and make it again in on_start",
    .take = leave_out,
    .give = give_nil,
};

int tiny_generation_save(tiny_generation *g, tiny_parcel *parcel, char *why, size_t why_size) {
  return pack(g, &saved_terms, parcel, why, why_size);
}

int tiny_generation_restore(tiny_generation *g, const tiny_parcel *parcel, char *why,
                            size_t why_size) {
  return unpack(g, &saved_terms, parcel, why, why_size);
}

static int enter_protected(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->driver);
  lua_getfield(L, -1, "enter");
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->context);
  lua_pushinteger(L, (lua_Integer)g->number);
  lua_createtable(L, g->runtime->argc, 0);
  for (int i = 0; i < g->runtime->argc; i++) {
    lua_pushstring(L, g->runtime->argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  uint64_t token = tiny_duty_token(g->runtime->duty);
  if (token)
    lua_pushnumber(L, (double)token);
  else
    lua_pushnil(L);
  lua_call(L, 4, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX, g->server); /* its slot was taken at opening */
  return 0;
}

int tiny_generation_enter(tiny_generation *g, char *why, size_t why_size) {
  if (tiny_lua_call(g, enter_protected, g) == 0) return 0;
  snprintf(why, why_size, "%s", lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
  return -1;
}

/* -- failures -------------------------------------------------------------- */

typedef struct failure_call {
  tiny_task *task;
  tiny_failure failure;
} failure_call;

/* driver.describe(co, err, started_at, stopped_at) -> message, trace */
static void describe(lua_State *L, tiny_task *task) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->generation->driver);
  lua_getfield(L, -1, "describe");
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->co_ref);
  lua_pushvalue(task->co, -1);
  lua_xmove(task->co, L, 1);
  if (task->started_line > 0)
    lua_pushfstring(L, "%s:%d", task->started_at, task->started_line);
  else
    lua_pushnil(L);
  lua_pushstring(L, task->trace);
  lua_call(L, 4, 2);
}

static int failure_protected(lua_State *L) {
  failure_call *call = lua_touserdata(L, 1);
  describe(L, call->task);
  call->failure.message = strdup(lua_tostring(L, -2));
  call->failure.trace = strdup(lua_tostring(L, -1));
  return 0;
}

tiny_failure tiny_task_failure(tiny_task *task) {
  failure_call call = {task, {NULL, NULL}};
  tiny_generation *g = task->generation;
  if (tiny_lua_call(g, failure_protected, &call) != 0) lua_pop(g->L, 1);
  return call.failure;
}

void tiny_failure_free(tiny_failure *failure) {
  free(failure->message);
  free(failure->trace);
  *failure = (tiny_failure){NULL, NULL};
}

/* driver.report(err, trace) */
static int report_protected(lua_State *L) {
  tiny_task *task = lua_touserdata(L, 1);
  describe(L, task);
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->generation->driver);
  lua_getfield(L, -1, "report");
  lua_pushvalue(task->co, -1);
  lua_xmove(task->co, L, 1);
  lua_pushvalue(L, -4); /* message trace driver report err | trace */
  lua_call(L, 2, 0);
  return 0;
}

void tiny_generation_report(tiny_generation *g, tiny_task *task) {
  if (tiny_lua_call(g, report_protected, task) == 0) return;
  tiny_err(g->runtime->log, "an error could not be reported: %s", lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
}
