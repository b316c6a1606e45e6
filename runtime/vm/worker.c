/* SPDX-License-Identifier: MIT
 * worker.c -- the threads of thread timers. A thread knows nothing of when it is time: the loop's
 * timer asks for each call (lua/tiny/timer.lua). What runs in it is lua/tiny/worker.lua. */
#include "worker.h"
#include "api_log.h"
#include "carry.h"
#include "guard.h"
#include "runtime.h"

#include <lauxlib.h>
#include <luajit.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tiny_worker {
  tiny *runtime;
  tiny_worker *next; /* older ones of the runtime */
  unsigned id;
  char *key;
  tiny_generation *owner; /* NULL once it is to end */
  tiny_ask *news;         /* a call has come back; used again and again */
  tiny_ask *end;          /* the thread has ended */
  bool wanted;            /* a call is asked for and not begun */
  bool busy;              /* a call is under way, or what came of it not handed over */
  bool back;              /* the call under way has come back */
  bool ended;
  bool lost; /* nobody waits for it any more */
  double next_missed;
  tiny_due late;     /* when the call has taken suspiciously long */
  size_t heap_limit; /* bytes; 0: none */

  pthread_mutex_t
      lock; /* guards the three below; what follows is the thread's between call and news */
  pthread_cond_t wake;
  bool called, quit;
  double missed;
  tiny_generation *vm;
  tiny_parcel setup;  /* what to call and with what, until the first call */
  tiny_parcel result; /* bytes are NULL when out of memory */
};

static const tiny_carry_terms setup_terms = {.name = "conf"};
static const tiny_carry_terms result_terms = {
    .name = "result", .remedy = "a thread timer's function returns plain data"};

/* -- on the thread --------------------------------------------------------- */

static bool wait_for_call(tiny_worker *w) {
  pthread_mutex_lock(&w->lock);
  while (!w->called && !w->quit) pthread_cond_wait(&w->wake, &w->lock);
  bool called = w->called;
  w->called = false;
  pthread_mutex_unlock(&w->lock);
  return called;
}

/* tiny.worker.run(setup or nil, missed) -> result or error, traceback if it is an error */
static void run(lua_State *L, tiny_worker *w, char *why, size_t why_size) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tiny.worker");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "run");
  if (!w->setup.bytes)
    lua_pushnil(L);
  else if (tiny_carry_unpack(L, &w->setup, &setup_terms, why, why_size) != 0)
    luaL_error(L, "%s", why);
  lua_pushnumber(L, w->missed);
  lua_call(L, 2, 1);
}

static int run_protected(lua_State *L) {
  tiny_worker *w = lua_touserdata(L, 1);
  char why[TINY_WHY];
  run(L, w, why, sizeof why);
  free(w->setup.bytes);
  w->setup.bytes = NULL;
  if (tiny_carry_pack(L, -1, &result_terms, &w->result, why, sizeof why) == 0) return 0;
  lua_createtable(L, 0, 1);
  lua_pushstring(L, why);
  lua_setfield(L, -2, "err");
  tiny_carry_pack(L, -1, &result_terms, &w->result, why, sizeof why);
  return 0;
}

static void open_vm(tiny_worker *w) {
  tiny_generation *vm = tiny_generation_new(w->runtime, 0);
  if (!vm) return;
  if (tiny_generation_open(vm) != 0) {
    tiny_generation_close(vm);
    return;
  }
  w->vm = vm;
  w->vm->of_thread = true;
  lua_State *L = w->vm->L;
  if (!w->heap_limit) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    return;
  }
  tiny_guard_jit(L, TINY_JIT_NEVER);
  tiny_allocator_limit(&w->vm->allocator, L, w->heap_limit); /* what is fresh is far below it */
}

static void execute(tiny_worker *w) {
  w->result.bytes = NULL;
  if (!w->vm) open_vm(w);
  if (!w->vm) return;
  tiny_log_refresh(w->vm->L);
  int status = lua_cpcall(w->vm->L, run_protected, w);
  if (status != 0) lua_pop(w->vm->L, 1);
  if (status == LUA_ERRMEM) tiny_allocator_recover(&w->vm->allocator, w->vm->L);
}

/* The sampling of the loop thread is not for us. */
static void begin_thread(const tiny_worker *w) {
  char name[16];
  sigset_t set;
  snprintf(name, sizeof name, "timer %s", w->key);
  pthread_setname_np(pthread_self(), name);
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *work(void *data) {
  tiny_worker *w = data;
  begin_thread(w);
  while (wait_for_call(w)) {
    execute(w);
    tiny_inbox_post(w->runtime->inbox, w->news);
  }
  if (w->vm) tiny_generation_close(w->vm);
  tiny_inbox_post(w->runtime->inbox, w->end);
  return NULL;
}

/* -- its beginning and end ------------------------------------------------- */

static void free_worker(tiny_worker *w) {
  if (w->news) tiny_ask_done(w->news, true, NULL);
  if (w->end) tiny_ask_done(w->end, true, NULL);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->wake);
  free(w->setup.bytes);
  free(w->key);
  free(w);
}

static void on_news(tiny_ask *ask) { ((tiny_worker *)ask->data)->back = true; }
static void on_end(tiny_ask *ask) { ((tiny_worker *)ask->data)->ended = true; }

static tiny_ask *ask_new(tiny_worker *w, void (*call)(tiny_ask *)) {
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  if (!ask) return NULL;
  ask->call = call;
  ask->data = w;
  return ask;
}

static tiny_worker *worker_new(tiny_generation *g, const char *key) {
  tiny_worker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, NULL);
  w->runtime = g->runtime;
  w->owner = g;
  w->id = ++g->runtime->last_worker;
  w->heap_limit = (size_t)tiny_conf_number(g->conf, "svr.lua.memory_limit");
  w->key = strdup(key);
  w->news = ask_new(w, on_news);
  w->end = ask_new(w, on_end);
  if (w->key && w->news && w->end) return w;
  free_worker(w);
  return NULL;
}

static int spawn(tiny_worker *w) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, w) != 0) return -1;
  pthread_detach(thread);
  w->runtime->jobs++;
  w->next = w->runtime->workers;
  w->runtime->workers = w;
  return 0;
}

unsigned tiny_worker_open(tiny_generation *g, const char *key, tiny_parcel setup) {
  tiny_worker *w = worker_new(g, key);
  if (!w) {
    free(setup.bytes);
    return 0;
  }
  w->setup = setup;
  if (spawn(w) != 0) {
    free_worker(w);
    return 0;
  }
  tiny_worker_call(g, w->id, -1); /* load at once: what is wrong should be known early */
  return w->id;
}

static tiny_worker *find(const tiny_generation *g, unsigned id) {
  tiny_worker *w = g->runtime->workers;
  while (w && (w->id != id || w->owner != g)) w = w->next;
  return w;
}

/* It ends when a call that is under way has come back. */
static void quit(tiny_worker *w) {
  w->owner = NULL;
  w->wanted = false;
  pthread_mutex_lock(&w->lock);
  w->quit = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
}

void tiny_worker_close(tiny_generation *g, unsigned id) {
  tiny_worker *w = find(g, id);
  if (w) quit(w);
}

void tiny_workers_stop(tiny_generation *g) {
  for (tiny_worker *w = g->runtime->workers; w; w = w->next)
    if (w->owner == g) quit(w);
}

/* -- calls ----------------------------------------------------------------- */

/* One of an older generation that has not ended goes first. */
static bool is_held_up(const tiny_worker *w) {
  for (const tiny_worker *older = w->next; older; older = older->next)
    if (strcmp(older->key, w->key) == 0) return true;
  return false;
}

static void begin(tiny_worker *w) {
  tiny *rt = w->runtime;
  uint64_t ms = tiny_conf_ms(w->owner->conf, "svr.timer.run_status_check_time_span");
  w->wanted = false;
  w->busy = true;
  if (ms > 0)
    w->late = tiny_timers_add(rt->timers, tiny_timers_after((double)ms / 1e3), TINY_DUE_WORKER,
                              (uintptr_t)w);
  pthread_mutex_lock(&w->lock);
  w->called = true;
  w->missed = w->next_missed;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
}

void tiny_worker_call(tiny_generation *g, unsigned id, double missed) {
  tiny_worker *w = find(g, id);
  if (!w) return;
  w->next_missed = missed;
  w->wanted = true;
  if (!w->busy && !is_held_up(w)) begin(w);
}

void tiny_worker_on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  tiny_worker *w = (tiny_worker *)(uintptr_t)word;
  char text[256];
  (void)data, (void)id, (void)now;
  snprintf(text, sizeof text,
           "thread timer \"%s\": its call has not come back within "
           "svr.timer.run_status_check_time_span",
           w->key);
  tiny_err(w->runtime->log, "%s", text);
  tiny_state_error(&w->runtime->state, text, NULL);
}

/* -- news ------------------------------------------------------------------ */

/* driver.worker_done(key, id, result or nil, why not) */
static int push_done(lua_State *L, void *data) {
  const tiny_worker *w = data;
  char why[TINY_WHY] = "not enough memory";
  lua_rawgeti(L, LUA_REGISTRYINDEX, w->runtime->current->driver);
  lua_getfield(L, -1, "worker_done");
  lua_pushstring(L, w->key);
  lua_pushinteger(L, (lua_Integer)w->id);
  bool ok =
      w->result.bytes && tiny_carry_unpack(L, &w->result, &result_terms, why, sizeof why) == 0;
  if (!ok) lua_pushnil(L);
  lua_pushstring(L, why);
  return 5;
}

static void deliver(tiny_worker *w) {
  char what[128];
  snprintf(what, sizeof what, "thread timer \"%s\"", w->key);
  tiny_task *task = tiny_task_begin(w->runtime->current, TINY_TASK_GO, push_done, w, what);
  if (task) tiny_task_ready(task, 4);
}

static void come_to_rest(tiny_worker *w) {
  tiny_timers_remove(w->runtime->timers, w->late);
  free(w->result.bytes);
  w->result.bytes = NULL;
  w->back = w->busy = false;
}

/* Not while generations change: neither of them is the one to be told. */
static bool can_deliver(const tiny *rt) {
  int phase = atomic_load(&rt->state.phase);
  return rt->current && rt->current->life == TINY_ENTERED &&
         (phase == TINY_RUNNING || phase == TINY_CLOSING);
}

static void take_back(tiny_worker *w) {
  bool drop = w->lost || w->runtime->finished;
  if (!drop && !can_deliver(w->runtime)) return;
  if (!drop) deliver(w);
  come_to_rest(w);
}

static void reap(tiny *rt, tiny_worker **at) {
  tiny_worker *w = *at;
  *at = w->next;
  rt->jobs--;
  if (w->lost) atomic_fetch_sub(&rt->state.threads_lost, 1);
  free_worker(w);
}

void tiny_workers_turn(tiny *rt) {
  for (tiny_worker **at = &rt->workers; *at;) {
    if ((*at)->back) take_back(*at);
    if ((*at)->ended && !(*at)->busy)
      reap(rt, at);
    else
      at = &(*at)->next;
  }
  for (tiny_worker *w = rt->workers; w; w = w->next)
    if (w->wanted && !w->busy && !is_held_up(w)) begin(w);
}

bool tiny_workers_busy(const tiny *rt) {
  for (const tiny_worker *w = rt->workers; w; w = w->next)
    if (w->busy) return true;
  return false;
}

void tiny_workers_give_up(tiny *rt) {
  for (tiny_worker *w = rt->workers; w; w = w->next) {
    if (!w->busy || w->lost) continue;
    w->lost = true;
    atomic_fetch_add(&rt->state.threads_lost, 1);
    tiny_warn(rt->log, "closing while the call of thread timer \"%s\" has not come back", w->key);
  }
}
