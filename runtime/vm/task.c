/* SPDX-License-Identifier: MIT
 * task.c -- the ready queue, and the life of one task. */
#include "task.h"
#include "generation.h"
#include "limit.h"
#include "runtime.h"
#include "trace.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4096 }; /* tasks resumed before I/O gets its turn */

struct tiny_scheduler {
  uv_idle_t idle; /* active while someone is ready, so that the loop does not sleep */
  tiny_timers *timers;
  tiny_task *first, **last;
  unsigned ready;
};

static void run(tiny_task *task);

static tiny_task *pop(tiny_scheduler *s) {
  tiny_task *task = s->first;
  s->first = task->later;
  if (!s->first) s->last = &s->first;
  s->ready--;
  task->queued = false;
  return task;
}

/* Whoever gets ready meanwhile runs in the next turn: fair to the sockets. */
static void turn(uv_idle_t *idle) {
  tiny_scheduler *s = idle->data;
  for (unsigned n = s->ready < BATCH ? s->ready : BATCH; n > 0 && s->first; n--) run(pop(s));
  if (!s->first) uv_idle_stop(idle);
}

tiny_scheduler *tiny_scheduler_open(uv_loop_t *loop, tiny_timers *timers) {
  tiny_scheduler *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->last = &s->first;
  s->timers = timers;
  uv_idle_init(loop, &s->idle);
  s->idle.data = s;
  tiny_timers_handle(timers, TINY_DUE_TASK, tiny_task_on_due, NULL);
  return s;
}

static void on_close(uv_handle_t *handle) { free(handle->data); }

void tiny_scheduler_close(tiny_scheduler *s) { uv_close((uv_handle_t *)&s->idle, on_close); }

static void enqueue(tiny_task *task) {
  tiny_scheduler *s = task->generation->scheduler;
  if (task->queued) return;
  task->queued = true;
  task->later = NULL;
  if (!s->first) uv_idle_start(&s->idle, turn);
  *s->last = task;
  s->last = &task->later;
  s->ready++;
}

/* Take all tasks of a generation out of the queue. */
static void dequeue_all(tiny_scheduler *s, const tiny_generation *g) {
  for (tiny_task **at = &s->first; *at;) {
    tiny_task *task = *at;
    if (task->generation != g) {
      at = &task->later;
      continue;
    }
    *at = task->later;
    if (!*at) s->last = at;
    s->ready--;
    task->queued = false;
  }
}

static lua_State *take_coroutine(lua_State *L, tiny_generation *g, int *ref) {
  if (g->pooled > 0) {
    g->pooled--;
    *ref = g->pool_refs[g->pooled];
    return g->pool[g->pooled];
  }
  lua_State *co = lua_newthread(L);
  *ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return co;
}

/* A coroutine that has returned can run again; one that died of an error cannot. */
static void give_coroutine(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (!task->co) return;
  if (!task->failed && task->started && g->pooled < (int)(sizeof g->pool / sizeof *g->pool)) {
    lua_settop(task->co, 0);
    g->pool[g->pooled] = task->co;
    g->pool_refs[g->pooled++] = task->co_ref;
  } else {
    luaL_unref(g->L, LUA_REGISTRYINDEX, task->co_ref);
  }
  task->co = NULL;
}

/* Run and timers go on for their own sake, whoever added them. */
static bool begun_by_request(const tiny_generation *g, tiny_task_kind kind) {
  if (kind == TINY_TASK_RUN || kind == TINY_TASK_TIMER) return false;
  return kind == TINY_TASK_REQUEST || (g->current && g->current->of_request);
}

tiny_task *tiny_task_new(lua_State *L, tiny_generation *g, tiny_task_kind kind) {
  int ref;
  lua_State *co = take_coroutine(L, g, &ref);
  tiny_task *task = calloc(1, sizeof *task);
  if (!task) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "not enough memory for a task");
    return NULL;
  }
  task->generation = g;
  task->co = co;
  task->co_ref = ref;
  task->kind = kind;
  task->of_request = begun_by_request(g, kind);
  task->next = g->tasks;
  if (g->tasks) g->tasks->prev = task;
  g->tasks = task;
  g->live[task->of_request][kind]++;
  return task;
}

static void forget(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (task->prev)
    task->prev->next = task->next;
  else
    g->tasks = task->next;
  if (task->next) task->next->prev = task->prev;
  if (task->box) *task->box = NULL;
  free(task->trace);
  tiny_limits_drop(task);
  free(task);
}

void tiny_task_ready(tiny_task *task, int passes) {
  task->passes = passes;
  enqueue(task);
}

void tiny_task_run(tiny_task *task, int passes) {
  task->passes = passes;
  run(task);
}

/* Copy the results (or the error) of an ended task to a joiner: nil, ok, values. */
static void pass_results(tiny_task *from, lua_State *to) {
  int first = from->failed ? lua_gettop(from->co) : 1;
  int count = lua_gettop(from->co) - first + 1;
  lua_pushnil(to);
  lua_pushboolean(to, !from->failed);
  for (int i = 0; i < count; i++) lua_pushvalue(from->co, first + i);
  lua_xmove(from->co, to, count);
}

static int result_count(const tiny_task *task) { return task->failed ? 1 : lua_gettop(task->co); }

/* lua_checkstack() would raise where nobody is to catch it when memory is short; a few there always are. */
static bool has_room(lua_State *co, int count) { return count <= 10 || lua_checkstack(co, count); }

static void wake_joiners(tiny_task *task) {
  while (task->joiners) {
    tiny_task *joiner = task->joiners;
    int count = result_count(task);
    task->joiners = joiner->later;
    joiner->leave = NULL;
    if (!has_room(joiner->co, count + 2) || !has_room(task->co, count)) {
      tiny_task_cancel(joiner); /* no memory even for a pointer */
      continue;
    }
    pass_results(task, joiner->co);
    tiny_task_ready(joiner, count + 2);
  }
}

/* Its own cancelling, or that of a task it has joined. */
static bool was_cancelled(tiny_task *task) {
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  bool same = lua_rawequal(task->co, -1, -2);
  lua_pop(task->co, 1);
  return same;
}

void tiny_task_report(tiny_task *task) {
  bool dead = task->generation->life == TINY_DEAD; /* no Lua of it runs */
  if (task->failed && !dead && !was_cancelled(task)) tiny_generation_report(task->generation, task);
}

/* Failed tasks come here twice: at once, and a turn later, when those who meant to join it had
 * their chance. */
static void bury(tiny_task *task) {
  if (task->unreported) tiny_generation_report(task->generation, task);
  task->unreported = false;
  if (task->box) return;
  give_coroutine(task);
  forget(task);
}

static void end(tiny_task *task, bool failed) {
  tiny_generation *g = task->generation;
  task->ended = true;
  task->failed = failed;
  task->raises = false;
  tiny_limits_drop(task);
  task->unreported = failed && !task->on_end && !task->joiners && !was_cancelled(task);
  g->live[task->of_request][task->kind]--;
  wake_joiners(task);
  if (task->on_end) task->on_end(task);
  if (task->unreported)
    enqueue(task);
  else
    bury(task);
}

/* A bare coroutine.yield() in a task would never be resumed. */
static void end_strayed(tiny_task *task) {
  lua_settop(task->co, 0);
  lua_pushliteral(task->co, "coroutine.yield outside of a coroutine: a task waits by tiny.sleep, "
                            "tiny.queue and the like");
  end(task, true);
}

/* What it returned or raised means nothing, and its stack may be anything. Run goes on, in a new task. */
static void end_stopped(tiny_task *task, tiny_stop stop) {
  tiny_generation *g = task->generation;
  bool again = (stop == TINY_STOP_SLICE || stop == TINY_STOP_LIMIT) && !task->cancelled &&
               task->kind == TINY_TASK_RUN;
  const char *trace = tiny_interrupt_trace(g->runtime->interrupt);
  if (stop == TINY_STOP_CLOSE)
    tiny_warn(g->runtime->log, "stopped, as the server closes:\n%s", trace);
  task->trace = strdup(trace);
  lua_settop(task->co, 0);
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, stop == TINY_STOP_CLOSE ? g->cancelled : g->stops[stop]);
  end(task, true);
  if (again) tiny_generation_call(g, "run_again");
}

static int new_coroutine(lua_State *L) {
  tiny_task *task = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  task->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  task->co = co;
  return 0;
}

/* Out of memory. A dead coroutine keeps alive what it had on its stack, so the error is told without it. */
static void end_starved(tiny_task *task) {
  tiny_generation *g = task->generation;
  lua_State *dead = task->co;
  int dead_ref = task->co_ref;
  char text[4096];
  tiny_report report = tiny_report_begin(text, sizeof text);
  tiny_trace_put(&report, dead);
  task->trace = strdup(text);
  if (tiny_allocator_call(&g->allocator, g->L, new_coroutine, task) == 0) {
    lua_xmove(dead, task->co, 1);
    luaL_unref(g->L, LUA_REGISTRYINDEX, dead_ref);
  } else {
    lua_pop(g->L, 1);
  }
  tiny_allocator_recover(&g->allocator, g->L);
  end(task, true);
}

static void run(tiny_task *task) {
  tiny_generation *g = task->generation;
  if (task->ended) {
    bury(task);
    return;
  }
  int passes = task->passes;
  tiny_duty_expired(g->runtime->duty); /* cuts the tasks if so */
  if (task->raises || (task->cut && task->started)) {
    task->raises = false;
    lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->stop ? g->stops[task->stop] : g->cancelled);
    task->stop = TINY_STOP_NONE;
    passes = 1;
  }
  if (task->cancelled && !task->started) {
    lua_rawgeti(task->co, LUA_REGISTRYINDEX, g->cancelled);
    end(task, true);
    return;
  }
  task->started = true;
  task->passes = 0;
  g->current = task;
  tiny_visit visit;
  tiny_lua_enter(g, &visit, task->co, task, task->limit_ns);
  int status = lua_resume(task->co, passes);
  tiny_stop stop = tiny_lua_leave(g, &visit);
  g->current = NULL;
  if (stop && status != LUA_YIELD)
    end_stopped(task, stop);
  else if (status == LUA_ERRMEM)
    end_starved(task);
  else if (status != LUA_YIELD)
    end(task, status != 0);
  else if (!task->leave && !task->queued)
    end_strayed(task);
}

/* With the place of who called the wait's Lua wrapper. */
static void misuse(lua_State *L, const char *what, const char *problem) {
  luaL_where(L, 2);
  lua_pushfstring(L, "%s %s", what, problem);
  lua_concat(L, 2);
  lua_error(L);
}

tiny_task *tiny_task_here(lua_State *L, const char *what) {
  tiny_generation *g = tiny_generation_acting(L, what);
  if (!g->current) misuse(L, what, "outside of a task: start one with tiny.go");
  if (g->current->co != L)
    misuse(L, what, "in a coroutine that the script made: use tiny.go instead of coroutine.create");
  if (!lua_isyieldable(L))
    misuse(L, what, "across a C call (table.sort, string.gsub or the like) that cannot wait");
  return g->current;
}

/* It does not wait any longer. Returns how it leaves what it waited for. */
static void (*unpark(tiny_task *task))(tiny_task *) {
  void (*leave)(tiny_task *) = task->leave;
  task->leave = NULL;
  tiny_timers_remove(task->generation->scheduler->timers, task->due);
  task->due = 0;
  return leave;
}

/* A cancelled task gives way for a turn before the raise: one that swallows it in a loop must not
 * hold the others up. */
static void raise_at_wait(tiny_task *task) {
  void (*leave)(tiny_task *) = unpark(task);
  if (leave) leave(task);
  tiny_limits_tell(task);
  task->raises = true;
  enqueue(task);
}

static bool is_stopped(const tiny_task *task) { return task->cancelled || task->expired > 0; }

int tiny_task_park(tiny_task *task, void (*leave)(tiny_task *), void *source) {
  task->leave = leave;
  task->source = source;
  if (is_stopped(task)) raise_at_wait(task);
  return lua_yield(task->co, 0);
}

int tiny_task_park_until(tiny_task *task, void (*leave)(tiny_task *), void *source,
                         uint64_t deadline_ns) {
  tiny_timers *timers = task->generation->scheduler->timers;
  if (deadline_ns) task->due = tiny_timers_add(timers, deadline_ns, TINY_DUE_TASK, (uintptr_t)task);
  if (!deadline_ns || task->due) return tiny_task_park(task, leave, source);
  task->source = source;
  leave(task);
  return luaL_error(task->co, "not enough memory");
}

void tiny_task_wake(tiny_task *task) {
  unpark(task);
  lua_pushnil(task->co);
  tiny_task_ready(task, 1);
}

void tiny_task_wake_failed(tiny_task *task, int code) {
  unpark(task);
  lua_pushnil(task->co);
  lua_pushboolean(task->co, true);
  lua_pushnil(task->co);
  lua_pushinteger(task->co, code);
  tiny_task_ready(task, 4);
}

void tiny_task_resume(tiny_task *task) {
  lua_pushnil(task->co);
  tiny_task_resume_with(task, 1);
}

void tiny_task_resume_with(tiny_task *task, int passes) {
  unpark(task);
  task->passes = passes;
  run(task);
}

void tiny_task_cancel(tiny_task *task) {
  if (task->ended || task->cancelled) return;
  task->cancelled = true;
  if (task->leave) raise_at_wait(task);
}

void tiny_task_expire(tiny_task *task) {
  task->expired++;
  if (task->leave) raise_at_wait(task);
}

void tiny_task_stop(tiny_task *task, tiny_stop stop) {
  if (!task->leave) return;
  task->stop = stop;
  raise_at_wait(task);
}

void tiny_tasks_cancel(tiny_generation *g) {
  for (tiny_task *task = g->tasks; task; task = task->next)
    if (!task->of_request && (task->kind == TINY_TASK_RUN || task->kind == TINY_TASK_GO))
      tiny_task_cancel(task);
}

unsigned tiny_tasks_count(const tiny_generation *g, tiny_task_kind kind, bool of_request) {
  return g->live[0][kind] + (of_request ? g->live[1][kind] : 0);
}

/* Who waits for the end of a task learns that it will not come. */
static void end_abandoned(tiny_task *task) {
  if (task->ended || !task->on_end) return;
  lua_rawgeti(task->co, LUA_REGISTRYINDEX, task->generation->cancelled);
  task->failed = true;
  task->on_end(task);
}

static void abandon_wait(tiny_task *task) {
  void (*leave)(tiny_task *) = unpark(task);
  if (leave) leave(task);
}

void tiny_tasks_abandon(tiny_generation *g) {
  for (tiny_task *task = g->tasks; task;
       task = task->next) /* all leave before any goes: they may */
    abandon_wait(task);   /* wait for one another */
  for (tiny_task *task = g->tasks; task; task = task->next) end_abandoned(task);
  dequeue_all(g->scheduler, g);
  while (g->tasks) forget(g->tasks);
  memset(g->live, 0, sizeof g->live);
}

/* -- waits of the scheduler's own ------------------------------------------ */

static void leave_nothing(tiny_task *task) { (void)task; }

void tiny_task_on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  (void)data, (void)id, (void)now;
  tiny_task *task = (tiny_task *)(uintptr_t)word;
  task->leave(task);
  tiny_task_resume(task);
}

/* sleep(seconds) */
static int l_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "seconds must be a number from 0 on");
  tiny_task *task = tiny_task_here(L, "tiny.sleep");
  if (seconds == 0) {
    task->leave = leave_nothing;
    if (is_stopped(task))
      raise_at_wait(task);
    else
      task->leave = NULL, enqueue(task);
    return lua_yield(L, 0);
  }
  return tiny_task_park_until(task, leave_nothing, NULL, tiny_timers_after(seconds));
}

#define TASK "tiny.task"

static tiny_task *check_task(lua_State *L, int index) {
  tiny_task *task = *(tiny_task **)luaL_checkudata(L, index, TASK);
  luaL_argcheck(L, task, index, "its generation is over");
  return task;
}

static void note_origin(lua_State *L, tiny_task *task) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "Sl", &ar)) return;
  size_t size = strlen(ar.short_src), room = sizeof task->started_at - 1;
  memcpy(task->started_at, ar.short_src + (size > room ? size - room : 0),
         (size > room ? room : size) + 1);
  task->started_line = ar.currentline;
}

/* go(fn, ...) -> task */
static int l_go(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (g->life < TINY_ENTERED)
    return luaL_error(
        L, "tiny.go while the script is being loaded: top-level code only defines, on_start acts");
  int count = lua_gettop(L);
  tiny_task **box = lua_newuserdata(L, sizeof *box);
  *box = NULL;
  luaL_getmetatable(L, TASK);
  lua_setmetatable(L, -2);
  tiny_task *task = tiny_task_new(L, g, TINY_TASK_GO);
  *box = task;
  task->box = box;
  note_origin(L, task);
  lua_insert(L, 1); /* box fn ... */
  if (!has_room(task->co, count)) {
    task->cancelled = true; /* it ends without having begun */
    tiny_task_ready(task, 0);
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, task->co, count);
  tiny_task_ready(task, count - 1);
  return 1;
}

static void leave_join(tiny_task *task) {
  tiny_task *joined = task->source;
  tiny_task **at = &joined->joiners;
  while (*at != task) at = &(*at)->later;
  *at = task->later;
}

/* join(task) -> nil, ok, results or error: at once when it has ended */
static int l_join(lua_State *L) {
  tiny_task *joined = check_task(L, 1);
  tiny_task *task = tiny_task_here(L, "task:join");
  luaL_argcheck(L, joined != task, 1, "a task cannot join itself");
  if (joined->ended) {
    int count = result_count(joined);
    luaL_checkstack(L, count + 2, "too many results");
    joined->unreported = false; /* it is the joiner's error now */
    pass_results(joined, L);
    return count + 2;
  }
  tiny_task **at = &joined->joiners;
  while (*at) at = &(*at)->later;
  *at = task;
  task->later = NULL;
  return tiny_task_park(task, leave_join, joined);
}

/* cancel(task) */
static int l_cancel(lua_State *L) {
  tiny_task_cancel(check_task(L, 1));
  return 0;
}

/* origin(task) -> coroutine, where it was started: for a traceback of one that has failed */
static int l_origin(lua_State *L) {
  tiny_task *task = check_task(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->co_ref);
  lua_pushfstring(L, "%s:%d", task->started_at, task->started_line);
  return 2;
}

/* done(task) -> bool */
static int l_done(lua_State *L) {
  lua_pushboolean(L, check_task(L, 1)->ended);
  return 1;
}

static int l_gc(lua_State *L) {
  tiny_task *task = *(tiny_task **)luaL_checkudata(L, 1, TASK);
  if (!task) return 0;
  task->box = NULL;
  if (task->ended && !task->queued) bury(task);
  return 0;
}

/* cancel_self(): the running task ends at its next wait */
static int l_cancel_self(lua_State *L) {
  tiny_generation *g = tiny_generation_of(L);
  if (g->current) tiny_task_cancel(g->current);
  return 0;
}

/* failure(code) -> message, NAME: of a negative UV code */
static int l_failure(lua_State *L) {
  int code = (int)luaL_checkinteger(L, 1);
  lua_pushstring(L, code == UV_ETIMEDOUT ? "timeout" : uv_strerror(code));
  lua_pushstring(L, uv_err_name(code));
  return 2;
}

/* ready() -> how many tasks are about to run */
static int l_ready(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tiny_generation_of(L)->scheduler->ready);
  return 1;
}

static const luaL_Reg functions[] = {
    {"ready", l_ready},
    {"sleep", l_sleep},
    {"go", l_go},
    {"join", l_join},
    {"cancel", l_cancel},
    {"done", l_done},
    {"cancel_self", l_cancel_self},
    {"failure", l_failure},
    {"origin", l_origin},
    {NULL, NULL},
};

int luaopen_tiny_task(lua_State *L) {
  luaL_newmetatable(L, TASK);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "methods"); /* the metatable, for lua/tiny/task.lua */
  return 1;
}
