/* SPDX-License-Identifier: MIT
 * task.h -- coroutines run by the loop. A task waits by yielding from a C function
 * and is resumed by whatever it waited for; loop thread only.
 *
 * A wait, as a binding writes it:
 *     tiny_task *task = tiny_task_here(L, "tiny.sleep");   raises where no wait can be
 *     task->... = register with the source of the event
 *     return tiny_task_park(task, leave, source);
 * and when the event comes: tiny_task_wake(task). The C function's first result is nil
 * then, or what has to be raised at the wait: its Lua wrapper does that (lua/tiny/task.lua).
 * A wake carries no values that need memory: the woken task takes its results by
 * itself with a second call, so that running out of memory is its own error. */
#ifndef TINY_TASK_H
#define TINY_TASK_H

#include "interrupt.h"
#include "scheduler.h"
#include "timers.h"
#include "waiters.h"
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tiny_generation tiny_generation;
typedef struct tiny_task tiny_task;

typedef enum tiny_task_kind {
  TINY_TASK_STEP,    /* a callback that the runtime waits for: on_start, on_close, on_except */
  TINY_TASK_RUN,     /* the server's run */
  TINY_TASK_TIMER,   /* the timers' executor */
  TINY_TASK_GO,      /* tiny.go and what the runtime starts in that way */
  TINY_TASK_REQUEST, /* the handler of a request or connection */
  TINY_TASK_KINDS
} tiny_task_kind;

enum { TINY_TASK_GREED = 100 };

struct tiny_task {
  tiny_generation *generation;
  lua_State *co;
  int co_ref; /* anchors co in the registry */
  tiny_task_kind kind;
  bool of_request; /* a request began it, or began what began it */
  bool started, ended, failed, cancelled, queued;
  bool raises; /* tiny.cancelled, or what 'stop' says, is to be raised at its wait */
  bool cut;    /* tiny.cancelled is to be raised whatever it has waited for */
  tiny_stop stop;
  bool unreported;        /* it failed, and nobody has joined it yet */
  int passes;             /* values on co to resume it with */
  tiny_task **box;        /* Lua's handle on it, NULL when nobody holds one */
  tiny_task *prev, *next; /* all tasks of the generation */
  tiny_task *later;       /* in the ready queue, or among waiters */
  tiny_waiters joiners;
  void (*leave)(tiny_task *task); /* take it off what it waits for; NULL: it does not wait */
  void *source;                   /* what it waits for, the binding's own */
  const char *text; /* what it waits to have written, on its stack; the binding's too */
  size_t text_size;
  tiny_due due;
  struct tiny_limit *limits; /* the innermost first (limit.h) */
  unsigned expired;          /* how many of them have passed: its waits raise */
  /* Called on the task's end, its results or the error (failed) on co's stack. May be NULL. */
  void (*on_end)(tiny_task *task);
  void *data;        /* for on_end */
  const char *name;  /* of the callback, a literal; NULL: by its kind */
  uint64_t limit_ns; /* the longest stretch of Lua in it; 0: svr.watchdog.slice */
  char *trace;       /* where it was stopped; NULL when it was not */
  unsigned greed;    /* what it was given without waiting, since it waited last */
  int started_line;  /* where tiny.go was called */
  char started_at[44];
};

/* Make a task; push function and arguments on task->co, then tiny_task_ready(). Raises on
 * 'L' when out of memory, so call it protected. */
tiny_task *tiny_task_new(lua_State *L, tiny_generation *generation, tiny_task_kind kind);

/* The same, protected, with the function and the arguments that 'push' pushes: it returns how many values these
 * are, 0 for no task. NULL then, and when something raised, which is logged as "what: error". */
tiny_task *tiny_task_begin(tiny_generation *generation, tiny_task_kind kind,
                           int (*push)(lua_State *L, void *data), void *data, const char *what);

/* Let it run in the next turn, with 'passes' values on top of its stack as arguments. */
void tiny_task_ready(tiny_task *task, int passes);

/* Or let it run at once: only from the top of a loop callback. It may be gone when this returns. */
void tiny_task_run(tiny_task *task, int passes);

/* The running task, for a binding that is about to wait. Raises, saying what to do, while a
 * script loads, outside of a task, in a coroutine of the script's own and across a C call. */
tiny_task *tiny_task_here(lua_State *L, const char *what);

/* End of a lua_CFunction that waits: return tiny_task_park(...). 'leave' undoes the
 * registration when the task is cancelled meanwhile. */
int tiny_task_park(tiny_task *task, void (*leave)(tiny_task *task), void *source);

/* The same with an end: at 'deadline_ns' by CLOCK_MONOTONIC (0: never) the task leaves and goes on
 * as if woken. Raises on the task when out of memory. */
int tiny_task_park_until(tiny_task *task, void (*leave)(tiny_task *task), void *source,
                         uint64_t deadline_ns);

/* For a wait that need not wait, because there is something already: now and then let the others
 * have their turn all the same. Whenever this is true, return tiny_task_give_way(task): the function
 * is called again then (lua/tiny/task.lua, task.wait). */
static inline bool tiny_task_is_greedy(tiny_task *task) { return ++task->greed > TINY_TASK_GREED; }
int tiny_task_give_way(tiny_task *task);

/* The event came: resume the parked task in the next turn, or now (only from the top of a
 * loop callback, never from code that Lua called). */
void tiny_task_wake(tiny_task *task);
void tiny_task_resume(tiny_task *task);

/* Resume it now with 'passes' values on top of its stack (up to ten need no checkstack), the
 * first being nil. */
void tiny_task_resume_with(tiny_task *task, int passes);

/* What it waits for will not come: the wait's results are nil, true, nil and that negative UV
 * code (lua/tiny/task.lua, task.wait). In the next turn. */
void tiny_task_wake_failed(tiny_task *task, int code);

/* It waits no longer: off what it waited for. Harmless on one that does not. */
void tiny_task_leave(tiny_task *task);

/* Whether what a failed one died of is tiny.cancelled: its own, or that of a task it has joined. */
bool tiny_task_was_cancelled(const tiny_task *task);

/* For an on_end: hand a failed task's error to on_except, unless it was only cancelled. */
void tiny_task_report(tiny_task *task);

/* Raise tiny.cancelled at its wait and at each later one. Harmless on an ended one. */
void tiny_task_cancel(tiny_task *task);

/* One more of its limits has passed. */
void tiny_task_expire(tiny_task *task);

/* Raise that stop's error at its wait, once. Harmless on one that does not wait. */
void tiny_task_stop(tiny_task *task, tiny_stop stop);

/* Cancel those of the generation that no request began, steps excepted. */
void tiny_tasks_cancel(tiny_generation *generation);

/* Whether what runs now serves a request. */
bool tiny_tasks_serve_request(const tiny_generation *generation);

/* How many live tasks there are of a kind; with 'of_request' false only those no request began. */
unsigned tiny_tasks_count(const tiny_generation *generation, tiny_task_kind kind, bool of_request);

/* How many of all kinds, and how many of these a request began. */
unsigned tiny_tasks_total(const tiny_generation *generation);
unsigned tiny_tasks_of_requests(const tiny_generation *generation);

/* Forget every task of a generation whose Lua never runs again. */
void tiny_tasks_abandon(tiny_generation *generation);

/* Ends of lua_CFunctions that wait: for so many seconds, 0 being a turn of the loop; for the end of
 * another task, with ok and its results or its error (wait.h). */
int tiny_task_sleep(tiny_task *task, double seconds);
int tiny_task_join(tiny_task *task, tiny_task *joined);

/* Lua's handle on it is gone. */
void tiny_task_let_go(tiny_task *task);

/* Handler of TINY_DUE_TASK. */
void tiny_task_on_due(void *data, tiny_due id, uint64_t word, uint64_t now);

int luaopen_tiny_task(lua_State *L); /* tiny.core.task */
int luaopen_tiny_gate(lua_State *L); /* tiny.core.gate */

#endif
