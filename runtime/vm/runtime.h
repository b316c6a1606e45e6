/* SPDX-License-Identifier: MIT
 * runtime.h -- one runtime: what outlives its generations. Everything here belongs
 * to the loop thread unless a part says otherwise. */
#ifndef TINY_RUNTIME_H
#define TINY_RUNTIME_H

#include "control.h"
#include "crash.h"
#include "duty.h"
#include "failure.h"
#include "feed.h"
#include "generation.h"
#include "hang.h"
#include "host.h"
#include "inbox.h"
#include "interrupt.h"
#include "log.h"
#include "notify.h"
#include "pidfile.h"
#include "profile.h"
#include "restoring.h"
#include "saver.h"
#include "sockets.h"
#include "state.h"
#include "task.h"
#include "timers.h"
#include "tiny.h"
#include "watch.h"
#include "worker.h"
#include <time.h>

enum {
  TINY_WHY = 4096,         /* room for a reason: a message with its place, or several */
  TINY_LOG_FLUSH_MS = 2000 /* how long what was logged may take to be written at the end */
};

/* One change of generation, from nothing (the start) or from the one in force (a reload). */
typedef struct tiny_change {
  tiny_generation *from, *to;   /* 'to' is NULL while there is none */
  bool under_way;               /* also when 'to' was discarded and 'from' is rolled back to */
  tiny_ask *asks;               /* who waits for the outcome */
  tiny_ask *later;              /* asked for meanwhile: one more change */
  struct tiny_carried *carried; /* streams in the context, on their way */
  uint64_t paused_at;           /* CLOCK_MONOTONIC ns, 0 while the old one serves */
  tiny_restoring *restoring;    /* NULL unless under way */
  bool wanted;                  /* the first start, or 'later' is to be begun */
  char why[TINY_WHY];
} tiny_change;

typedef struct tiny_closing {
  bool wanted, begun;
  int code;
  const char *reason; /* on_close's */
} tiny_closing;

struct tiny {
  char *conf_path, *script;
  int argc;
  char **argv;
  bool control_files; /* pid file, control socket, conf.lua.run */
  bool signals, exits, interrupts, crashes, fresh;
  tiny_host host;
  tiny_activation activation; /* sockets that came with the process */

  uv_loop_t loop;
  tiny_log *log;
  tiny_state state;
  tiny_inbox *inbox;
  tiny_control *control;
  tiny_feed *feed;
  tiny_interrupt
      *_Atomic interrupt; /* while tiny_run() is on; NULL when not asked for or not to be had */
  tiny_profile *profile;  /* the control thread's; NULL: none is being taken */
  tiny_hang *hang;        /* while tiny_run() is on */
  tiny_notify *notify;    /* NULL: no service manager, or none asked for */
  tiny_crash *crash;      /* NULL when not asked for */
  void *crash_stack;      /* the loop thread's */
  tiny_pidfile *pidfile;
  tiny_timers *timers;
  tiny_scheduler *scheduler;
  tiny_worker *workers; /* threads of timers, the youngest first */
  unsigned last_worker;
  json_t *phases; /* where the timers of the last generation had got to, by key */
  tiny_sockets *sockets;
  tiny_watch *watch; /* svr.watch */
  tiny_saver *saver; /* checkpoints */
  tiny_duty *duty;   /* NULL: not one of several */
  uv_prepare_t lag;
  uint64_t turn_at, idle_ns; /* for the loop's lag */

  tiny_generation *current;  /* in force; NULL until the first has started */
  tiny_generation *draining; /* older ones with work in flight */
  bool shows_draining;       /* the state has been told of some */
  uint64_t last_number;
  tiny_change change;
  struct tiny_loading *loading; /* the candidate in a helper thread, NULL when there is none */
  tiny_closing closing;
  uv_timer_t close_delay;

  /* What goes on between the loop's turns: called after each until it sets another. */
  void (*stage)(tiny *runtime);
  uint64_t stage_deadline;          /* CLOCK_MONOTONIC ns, 0 is none */
  uv_timer_t stage_timer;           /* only turns the loop when the deadline has come */
  tiny_task *step;                  /* the callback that a stage waits for */
  bool step_failed, step_cancelled; /* it ended by an error; by tiny.cancelled */
  const char *step_name;            /* which it was, a literal */
  tiny_failure failure;

  unsigned jobs; /* helper threads at work */
  int exit_code;
  _Atomic int forced_code; /* closing was forced with it; 0: it was not */
  bool finished;
};

/* -- entering Lua (stretch.c) */
/* Every stretch of Lua on the loop thread is between these two. 'running' is the thread that will
 * run, 'task' what it is about (NULL: the driver), 'limit_ns' the longest that it may take (0:
 * svr.watchdog.slice). */
typedef struct tiny_visit {
  tiny_stretch stretch;
  uint64_t busy_since; /* of the outer one */
} tiny_visit;
void tiny_lua_enter(tiny_generation *generation, tiny_visit *visit, lua_State *running,
                    const tiny_task *task, uint64_t limit_ns);
/* Returns why Lua was stopped; that it hung is noted already. */
tiny_stop tiny_lua_leave(tiny_generation *generation, tiny_visit *visit);
/* Whether the innermost stretch has lasted for some milliseconds: who could go on should let the loop
 * turn. */
bool tiny_lua_lasts(const tiny_generation *generation);
/* lua_cpcall() in such a stretch; an error is on top of the main thread's stack, and a string if
 * it is a stop. */
int tiny_lua_call(tiny_generation *generation, lua_CFunction fn, void *data);
/* The same, and an error is logged: "what: error". Returns 0 or -1. */
int tiny_lua_try(tiny_generation *generation, lua_CFunction fn, void *data, const char *what);
/* Say what a task is, in a line; a tiny_what_fn. */
void tiny_task_describe(tiny_report *report, const void *task, lua_State *L);

/* -- hangs: what the control thread asks and tells (hung.c) */
void tiny_hung_open(tiny *runtime);  /* Lua can be interrupted and is watched */
void tiny_hung_watch(tiny *runtime); /* as another conf says now */
void tiny_hung_blind(tiny *runtime); /* watched no more; before tiny_control_close() */
void tiny_hung_close(tiny *runtime); /* interrupted no more; after that */
void tiny_hung_note(tiny *runtime);  /* it hung and was stopped: close */
/* What control.h says of these. */
bool tiny_hung_look(void *runtime, char *text, size_t size);
void tiny_hung_log(void *runtime);
void tiny_hung_overdue(void *runtime);
bool tiny_hung_profile(void *runtime);
char *tiny_hung_profiled(void *runtime);
void tiny_hung_parked(tiny *runtime, tiny_ask *ask); /* TINY_ASK_STACK */

/* -- svr.user and svr.group (become.c): whether we can become them, and becoming them for good.
 * Each returns 0, or -1 with the reason in 'why'. */
int tiny_become_check(const tiny_conf *conf, char *why, size_t why_size);
int tiny_become(tiny *runtime, const tiny_conf *conf, char *why, size_t why_size);

/* -- crashes (crashed.c) */
void tiny_crashed_open(tiny *runtime);

/* -- stages (stage.c) */
/* Go on with 'stage' after each turn; 'ms' from now tiny_stage_late() is true (0: never). */
void tiny_stage(tiny *runtime, void (*stage)(tiny *runtime), uint64_t ms);
bool tiny_stage_late(const tiny *runtime);
/* Start a driver's function as the step that the stage waits for. */
void tiny_step_begin(tiny *runtime, tiny_generation *generation, const char *name,
                     const char *argument);
bool tiny_step_pending(const tiny *runtime);
/* Give the step up: its outcome is no longer looked at, and its task cancelled if it goes on. */
void tiny_step_drop(tiny *runtime);
/* Why the step failed, with its place, copied into 'why'; its traceback goes to the log. */
void tiny_step_why(tiny *runtime, const char *name, char *why, size_t why_size);
/* Whether it did not come to its end before the stage was late, waiting or not; the same of that. The step is
 * dropped then. */
bool tiny_step_overdue(const tiny *runtime);
void tiny_step_overdue_why(tiny *runtime, const char *name, char *why, size_t why_size);

/* -- change of generation (change.c, loading.c, standing.c; its steps are in change.h) */
void tiny_change_ask(tiny *runtime, tiny_ask *ask); /* owns the ask */
void tiny_change_begin(tiny *runtime);
void tiny_change_abort(tiny *runtime); /* closing: a candidate that still loads is given up */
/* Give up the candidate that is being loaded. */
void tiny_change_abandon(tiny *runtime, const char *why);
/* The loaded generation that stood by begins its work. */
void tiny_change_take_up(tiny *runtime);

/* -- closing (closing.c) */
void tiny_closing_ask(tiny *runtime, const char *reason, double delay, int code);
void tiny_closing_begin(tiny *runtime);

/* -- generations that are on their way out (drain.c) */
bool tiny_quiet(const tiny_generation *generation); /* nothing runs but what requests began */
void tiny_quiesce(tiny_generation *generation);     /* stop timers, cancel run and tasks */
uint64_t tiny_quiet_ms(const tiny_generation *generation); /* how long that may take: 1 at least */
void tiny_drain(tiny *runtime, tiny_generation *generation, uint64_t ms);
void tiny_drain_turn(tiny *runtime);  /* retire those that have nothing left */
void tiny_drain_hurry(tiny *runtime); /* with the next of these all, whatever they hold */
void tiny_drain_show(tiny *runtime);  /* for status: who is left, and why */
void tiny_retire(tiny *runtime, tiny_generation *generation);

/* -- helper threads (job.c) */
typedef struct tiny_job tiny_job;
struct tiny_job {
  void (*work)(tiny_job *job); /* on a thread of its own; may block */
  void (*done)(tiny_job *job); /* then on the loop thread; frees the job */
  tiny *runtime;
  void *data;
};
/* Returns 0, or -1 when no thread could be had (nothing is called then). */
int tiny_job_start(tiny *runtime, tiny_job *job);

/* -- what other threads ask (asked.c); 'runtime' is a tiny * */
void tiny_asked(void *runtime, tiny_ask *ask);
/* The log's levels have changed: running Lua, which looks at its own copy of them, is to know.
 * Any thread. */
void tiny_asked_levels(void *runtime);

/* -- what the loop shows in the state (shown.c) */
void tiny_counts_show(tiny *runtime); /* what the generation in force holds */
/* The end of a turn: that, who drains, and how long the loop was kept from waiting for events. */
void tiny_turn_show(uv_prepare_t *prepare);

/* The module tiny.core.runtime. */
int luaopen_tiny_runtime(lua_State *L);

/* The modules of sockets: tiny.core.address, .stream and .acceptor. */
int luaopen_tiny_address(lua_State *L);
int luaopen_tiny_stream(lua_State *L);
int luaopen_tiny_acceptor(lua_State *L);
int luaopen_tiny_exec(lua_State *L);
int luaopen_tiny_udp(lua_State *L);
int luaopen_tiny_http(lua_State *L);
int luaopen_tiny_fetch(lua_State *L);
int luaopen_tiny_zmq(lua_State *L);
int luaopen_tiny_tls(lua_State *L);

#endif
