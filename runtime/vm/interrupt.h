/* SPDX-License-Identifier: MIT
 * interrupt.h -- getting the attention of running Lua, compiled or not, from another
 * thread or when its time is up: to say where it is, or to raise an error in it.
 *
 * One tiny_interrupt serves one loop thread and all VMs that run there. Of these one at a
 * time (and one in the whole process) is *held*: its compiled code can be interrupted. In
 * all others the JIT has to be off. Every VM must have been guarded (guard.h).
 *
 * Out of reach for an error, but not for a look: finalizers, hooks that a script set,
 * and C functions until they return. */
#ifndef TINY_INTERRUPT_H
#define TINY_INTERRUPT_H

#include "report.h"
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tiny_interrupt tiny_interrupt;

typedef enum tiny_stop {
  TINY_STOP_NONE,
  TINY_STOP_HUNG,  /* the watchdog lost patience */
  TINY_STOP_CLOSE, /* closing or reloading waits for it */
  TINY_STOP_SLICE, /* longer than svr.watchdog.slice */
  TINY_STOP_LIMIT, /* longer than this stretch was given */
  TINY_STOPS
} tiny_stop;

/* What the error says, as on_except gets it. */
const char *tiny_stop_text(tiny_stop stop);

/* One stretch of Lua: from C entering a VM until control is back. Lives on the C stack
 * of who enters; its fields are private. */
typedef struct tiny_stretch {
  lua_State *L;       /* main thread of the VM */
  lua_State *running; /* the thread that was called or resumed */
  const void *what;   /* the enterer's own, for tiny_what_fn */
  uint64_t due_ns;    /* CLOCK_MONOTONIC; 0: no limit */
  tiny_stop due_stop;
  struct tiny_stretch *outer;
} tiny_stretch;

/* Says in a line what a stretch is about, such as "request /x\n". 'L' is the VM's main thread
 * where Lua may be asked, though nothing that allocates; NULL in a signal handler. */
typedef void (*tiny_what_fn)(tiny_report *report, const void *what, lua_State *L);

/* Serve the calling thread, which takes SIGPROF (see sigprof.h). Returns NULL when
 * that or memory could not be had. Close it on the same thread, when no other
 * thread can use it any more. */
tiny_interrupt *tiny_interrupt_open(tiny_what_fn what);
void tiny_interrupt_close(tiny_interrupt *interrupt);

/* Hold the VM of 'L' and let its JIT work. A VM held before is let go: its JIT is off from then
 * on. Returns whether it is held; otherwise another runtime of this process holds one, and
 * the JIT of 'L' stays off. Loop thread, with no Lua running. Compiled code is lost, so hold a
 * generation when it takes over and not before. */
bool tiny_interrupt_hold(tiny_interrupt *interrupt, lua_State *L);

/* Let go of the VM of 'L', where it is held; needed before lua_close(). Loop thread. */
void tiny_interrupt_let_go(tiny_interrupt *interrupt, lua_State *L);

/* Around each call or resume of Lua from C; they nest. 'L', 'running' and 'what' of 'stretch' are
 * set. 'limit_ns' is the longest that it may take, 0: as tiny_interrupt_slice() says. */
void tiny_interrupt_enter(tiny_interrupt *interrupt, tiny_stretch *stretch, uint64_t limit_ns);

/* Control is back in C. Returns why Lua was stopped meanwhile; whatever it returned or
 * raised then means nothing. An inner stretch only hands the error on. */
tiny_stop tiny_interrupt_leave(tiny_interrupt *interrupt, tiny_stretch *stretch);

/* Whether a signal came while no Lua ran, since this was asked last. Loop thread. */
bool tiny_interrupt_hit_idle(tiny_interrupt *interrupt);

/* The Lua stack at the place that was stopped last. Loop thread, until the next stop. */
const char *tiny_interrupt_trace(const tiny_interrupt *interrupt);

/* The longest that a stretch may take by default; 0: for ever. Loop thread. */
void tiny_interrupt_slice(tiny_interrupt *interrupt, uint64_t slice_ns);

/* Raise an error in the Lua that runs now, or runs next, and go on raising it until control is
 * back in C: no pcall() escapes. Any thread. */
void tiny_interrupt_stop(tiny_interrupt *interrupt, tiny_stop stop);

/* Lua is left in peace from now on: the last things are done, for which others set a time. Stops
 * that were asked for are forgotten, later ones and slices have no effect. Loop thread. */
void tiny_interrupt_spare(tiny_interrupt *interrupt);

/* Whether the calling thread's Lua is being stopped. Any thread. */
bool tiny_interrupt_stopping(void);

typedef enum tiny_doing {
  TINY_DOING_NOTHING, /* no Lua is being run */
  TINY_DOING_LUA,
  TINY_DOING_C,      /* a C function that Lua called, a finalizer or a script's hook */
  TINY_DOING_UNKNOWN /* no answer: no CPU for the thread, or the kernel does not let it go */
} tiny_doing;

/* Add what runs at this moment and its Lua stack, as far as that can be told from a signal
 * handler on the loop thread that has hit it anywhere (a crash). On other threads it adds
 * nothing. */
void tiny_interrupt_guess(tiny_interrupt *interrupt, tiny_report *report);

/* Say what the loop thread does now: the Lua stack into 'text', innermost first, or the C stack
 * and a guess at the Lua one. It goes on unharmed. Answers within some 200 ms at worst. Not for
 * the loop thread; one asks at a time, others wait. */
tiny_doing tiny_interrupt_look(tiny_interrupt *interrupt, char *text, size_t size);

/* Called in the held VM, which must not be entered, with its running thread; 'samples' of
 * the clock fell on it since the last call. 'state' is LuaJIT's: N, I, C, G or J. */
typedef void (*tiny_sample_fn)(void *data, lua_State *running, int samples, int state);

/* Sample the held VM every 'span_ns' that it runs. 'fn' and 'data' must outlive the sampling,
 * which ends with a NULL 'fn': no call of 'fn' is under way after that. Any thread but the
 * loop's. */
void tiny_interrupt_sample(tiny_interrupt *interrupt, tiny_sample_fn fn, void *data,
                           uint64_t span_ns);

#endif
