/* SPDX-License-Identifier: MIT
 * host.h -- the program around a runtime: what it gave, and which of its threads is the loop's. */
#ifndef TINY_HOST_H
#define TINY_HOST_H

#include "inbox.h"
#include "tiny.h"
#include <lua.h>
#include <pthread.h>

typedef struct tiny_host {
  /* Its options. */
  tiny_library *libraries; /* owned, with their names; NULL: none */
  void *data;
  void (*forced)(void *data, int code);

  /* Behind the roll's lock. */
  tiny *next;
  bool begun, over; /* a thread drives it, or has done so to its end */
  pthread_t thread; /* which, once begun */

  /* The loop thread's. */
  bool turning;      /* between tiny_host_enter() and tiny_host_leave() */
  bool stirred;      /* it was called from outside: a turn is due */
  bool serving;      /* the generation in force may be called */
  uint64_t left_ns;  /* when it was left, by uv_hrtime() */
  tiny_ask *closers; /* who waits for the closing */
} tiny_host;

/* Copy what is the host's. Returns 0, or -1 with the reason in 'why': then too tiny_host_fini() frees. */
int tiny_host_init(tiny_host *host, const tiny_options *options, char *why, size_t why_size);
void tiny_host_fini(tiny_host *host);

/* For tiny_run() and tiny_step(), around each turn. enter returns 0 or a negative errno; '*first' when the
 * calling thread has just become the loop's. 'alone': only then. over: it has closed. */
int tiny_host_enter(tiny *runtime, bool alone, bool *first);
void tiny_host_leave(tiny *runtime);
void tiny_host_over(tiny *runtime);

/* Whether the loop thread calls, and there is a loop: 0 or a negative errno. */
int tiny_host_check(tiny *runtime);

/* Make the libraries known to a new state, and get it ready for tiny_call(). Protected. */
void tiny_host_open(lua_State *L, tiny *runtime);

#endif
