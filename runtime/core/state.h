/* SPDX-License-Identifier: MIT
 * state.h -- what a runtime shows of itself: atomics that the loop thread writes
 * as it goes, and a few texts behind one lock. The feed, `tiny status` and the
 * watchdog read it; none of them ever waits for Lua. */
#ifndef TINY_STATE_H
#define TINY_STATE_H

#include "conf.h"
#include "log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

typedef enum tiny_phase {
  TINY_STARTING,
  TINY_RUNNING,
  TINY_RELOADING,
  TINY_STANDBY,
  TINY_CLOSING
} tiny_phase;

/* What a watcher is told of. */
typedef enum tiny_news {
  TINY_NEWS_CONF = 1,  /* another conf is in force */
  TINY_NEWS_ERROR = 2, /* nobody in Lua has caught it */
  TINY_NEWS_STATE = 4  /* another phase, a reload's outcome, hung or no longer */
} tiny_news;
typedef void (*tiny_told_fn)(void *data, tiny_news news);

/* An old generation that still has work in flight. */
typedef struct tiny_draining {
  uint64_t number;
  unsigned tasks, requests, handles; /* what holds it; requests are tasks too */
} tiny_draining;
enum { TINY_DRAINING_SHOWN = 8 };

typedef struct tiny_state tiny_state;
struct tiny_state {
  tiny_log *log; /* borrowed, for its counts; may be NULL */

  _Atomic int phase;                  /* tiny_phase */
  _Atomic uint64_t generation;        /* number of the one in force, 0 before the first */
  _Atomic uint64_t generations_alive; /* loading, running and draining ones */
  _Atomic uint64_t threads_lost;      /* helper threads stuck in C */
  _Atomic uint64_t timers, tasks, connections;
  _Atomic uint64_t lua_heap; /* bytes, of the generation in force */

  /* The heartbeat. 'busy_since' is CLOCK_MONOTONIC ns of the start of the loop's
   * present turn, 0 while it waits for events; 'run_sign' the last sign of life
   * of run, 0 while there is no run. */
  _Atomic uint64_t busy_since, run_sign;
  _Atomic uint64_t lag_max_ns, lag_sum_ns, lag_count; /* turns since the feed last took them */
  _Atomic uint64_t errors;                            /* all of them, not only the last */

  pthread_mutex_t lock; /* guards all below */
  tiny_conf *conf;      /* in force; NULL before the first */
  char *last_error, *last_trace, *last_summary, *last_reload_result;
  time_t last_error_time, last_summary_time, last_reload_time; /* 0: never */
  time_t start_time;
  uint64_t start_ns;   /* the same by CLOCK_MONOTONIC */
  char *hung_stack;    /* NULL unless hung */
  uint64_t hung_since; /* CLOCK_MONOTONIC ns, 0 unless hung */
  tiny_draining draining[TINY_DRAINING_SHOWN];
  unsigned draining_count;
  json_t *app;       /* gauges and counters of the server's own */
  const char *role;  /* "active" or "standby"; NULL: not one of several */
  uint64_t token;    /* of the present term; 0: none */
  json_t *members;   /* of the cluster, as objects; NULL: not one of several */
  json_t *shared;    /* their configuration, as rollout.h shows it; NULL: they share none */
  tiny_told_fn told; /* the watcher; NULL: nobody */
  void *told_data;
};

void tiny_state_init(tiny_state *state, tiny_log *log);
void tiny_state_fini(tiny_state *state);

/* The conf in force. hold returns it with a reference for the caller, NULL before the first. Any thread. */
void tiny_state_conf(tiny_state *state, tiny_conf *conf);
tiny_conf *tiny_state_hold_conf(tiny_state *state);

/* Each takes copies, of 16 KB at the most, and the lock. Any thread. */
void tiny_state_error(tiny_state *state, const char *error, const char *trace);
void tiny_state_summary(tiny_state *state, const char *summary);
void tiny_state_reloaded(tiny_state *state, bool ok, const char *result); /* time is set when ok */
void tiny_state_hung(tiny_state *state, uint64_t since, const char *stack); /* 0, NULL: no more */
void tiny_state_app(tiny_state *state, const char *name, double value, bool add);

/* Our part in the cluster: literals only; and who is in it (a reference that is taken over). */
void tiny_state_role(tiny_state *state, const char *role, uint64_t token);
void tiny_state_members(tiny_state *state, json_t *members);

/* How far the configuration that the cluster shares has come (a reference that is taken over). */
void tiny_state_shared(tiny_state *state, json_t *shared);

/* Have 'told' called with all news, on the thread that brings them and under the lock: it must
 * neither wait nor come back here. One watcher at a time, NULL for none. Any thread. */
void tiny_state_watch(tiny_state *state, tiny_told_fn told, void *data);

/* Enter a phase. It is news, unless it is one of a reload's: there the outcome is. Any thread. */
void tiny_state_enter(tiny_state *state, tiny_phase phase);

/* The old generations that are not gone yet; more than TINY_DRAINING_SHOWN are left out. */
void tiny_state_draining(tiny_state *state, const tiny_draining *list, unsigned count);

bool tiny_state_is_hung(tiny_state *state); /* any thread */

/* The "info" object of the monitor feed, and of `tiny status --json`. A new reference, NULL when
 * out of memory. Any thread. */
json_t *tiny_state_info(tiny_state *state);

/* The same for the one who publishes it: the loop's lag is counted anew from here on. */
json_t *tiny_state_take_info(tiny_state *state);

#endif
