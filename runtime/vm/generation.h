/* SPDX-License-Identifier: MIT
 * generation.h -- one lua_State with the conf and script it was built from, and what it holds. */
#ifndef TINY_GENERATION_H
#define TINY_GENERATION_H

#include "allocator.h"
#include "carry.h"
#include "conf.h"
#include "interrupt.h"
#include "task.h"
#include "tiny.h"
#include <lua.h>

typedef enum tiny_life {
  TINY_LOADING,  /* a helper thread builds it: bindings start nothing */
  TINY_LOADED,   /* built, not yet entered */
  TINY_ENTERED,  /* its on_start may act; after that it serves */
  TINY_DRAINING, /* the next one serves; requests begun here finish here */
  TINY_DEAD      /* no Lua runs in it any more */
} tiny_life;

struct tiny_generation {
  tiny *runtime;
  tiny_generation *next; /* the runtime's list of draining ones */
  lua_State *L;          /* the main thread; only C calls run on it, tasks have their own */
  uint64_t number;
  tiny_allocator allocator; /* of svr.lua.memory_limit; all 0 without one */
  tiny_life life;
  tiny_conf *conf; /* NULL until loaded */
  json_t *shared;  /* what of etcd goes over its conf.lua (shared_conf.h), until that has it */
  struct tiny_handle *handle;     /* all open ones */
  unsigned handles;               /* how many these are: sockets and processes */
  _Atomic uint64_t load_deadline; /* CLOCK_MONOTONIC ns */
  char load_stopped[256];         /* what the deadline interrupted, "" when it did not */
  int driver;                     /* registry reference: the module tiny.driver */
  int cancelled;                  /* registry reference: tiny.cancelled */
  int stops[TINY_STOPS];          /* registry references: the errors of stopped Lua */
  int server;                     /* registry reference: nil until it is made */
  int run_call, add_trace;        /* registry references: what tiny_call() needs */
  int context;                    /* registry reference: what enter hands to the server */
  int due_slots;                  /* registry reference: what its timers call */
  tiny_task *tasks;               /* all of them */
  tiny_task *current;             /* the one that runs now */
  tiny_scheduler *scheduler;
  tiny_task *executor; /* runs the timers' functions; NULL unless it waits for one that is due */
  bool executing;      /* there is one, waiting or not */
  bool timers_on;
  bool of_thread;                    /* a thread timer's: it has no tasks and may block */
  unsigned timers;                   /* pending ones */
  unsigned live[2][TINY_TASK_KINDS]; /* tasks by of_request and kind */
  int pool_refs[256];                /* coroutines to use again */
  lua_State *pool[256];
  int pooled;
  uint64_t drain_deadline; /* CLOCK_MONOTONIC ns: when a draining one is cut off */
  uv_timer_t drain_timer;  /* turns the loop then */
  bool drain_timer_open;
};

/* One without a state yet. NULL when out of memory. Any thread; each generation belongs to one thread
 * at a time. */
tiny_generation *tiny_generation_new(tiny *runtime, uint64_t number);

/* Give it a state with the libraries and the runtime's modules, nothing of the user's run. The JIT is
 * off. Returns 0, or -1 when out of memory. Takes 0.15 ms. */
int tiny_generation_open(tiny_generation *generation);

/* Close the state, if it has one. No handle of it may be open. Any thread that it belongs to. */
void tiny_generation_close(tiny_generation *generation);

tiny_generation *tiny_generation_of(lua_State *L);

/* The same for what acts: raises while the script is being loaded, and in a thread timer. 'what' is its name in
 * Lua. 'level' is 2, as without it, when a Lua function of ours calls the C function, 1 when scripts do. */
tiny_generation *tiny_generation_acting(lua_State *L, const char *what);
tiny_generation *tiny_generation_acting_at(lua_State *L, int level, const char *what);

/* Raise "file:line: message" of who called the Lua function that called us. */
int tiny_misuse(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Start the driver's function 'name' (lua/tiny/driver.lua) as a task with one argument: text
 * or NULL. NULL when out of memory. Loop thread. */
tiny_task *tiny_generation_start(tiny_generation *generation, tiny_task_kind kind, const char *name,
                                 const char *argument, void (*on_end)(tiny_task *task));

/* Call the driver's function 'name' at once: it must not wait. Returns 0, or -1 after an error,
 * which is logged. Loop thread. */
int tiny_generation_call(tiny_generation *generation, const char *name);

/* Make the server, with the context it has been given. Returns 0, or -1 with the reason. Loop
 * thread. */
int tiny_generation_enter(tiny_generation *generation, char *why, size_t why_size);

#endif
