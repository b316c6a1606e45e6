/* SPDX-License-Identifier: MIT
 * control.h -- the control thread: signals, the control socket and the deadlines
 * of closing. It never waits for Lua, so it answers while Lua hangs. */
#ifndef TINY_CONTROL_H
#define TINY_CONTROL_H

#include "inbox.h"
#include "log.h"
#include "state.h"

typedef struct tiny_control tiny_control;

/* What the control thread works with; all of it borrowed, and outliving it. The
 * functions are called on the control thread, with 'data'. */
typedef struct tiny_control_parts {
  tiny_state *state;
  tiny_log *log;
  tiny_inbox *inbox;
  bool signals; /* take the process's signals: one runtime in a process may */
  /* End the process now with this exit code, the log flushed first. Called when closing
   * was forced (the reason is in the log by then); does not return for `tiny run`. */
  void (*end)(void *data, int code);
  void *data;
  /* SIGQUIT: log the Lua stack. NULL: the signal is taken without effect. */
  void (*stack)(void *data);
  /* What Lua does now, as lines into 'text'; returns false when it does nothing. NULL: it cannot be told. */
  bool (*look)(void *data, char *text, size_t size);
  /* Begin to sample Lua; returns false when that cannot be. End it: the folded stacks, for free(), NULL without
   * memory. NULL: it cannot be sampled. */
  bool (*profile)(void *data);
  char *(*profiled)(void *data);
  /* svr.close.wait_lock_delay has passed since closing was first asked for, and it is
   * not over: interrupt Lua, unless on_close runs by now. May be NULL. */
  void (*overdue)(void *data);
} tiny_control_parts;

/* Start the thread. Signals count from here on. Returns NULL with the reason in 'why'. Loop thread. */
tiny_control *tiny_control_open(const tiny_control_parts *parts, char *why, size_t why_size);

/* Serve the control socket <svr.run_dir>/<svr.name>.sock (0600, owner and root only). A
 * left-over file is replaced: the pid file's lock says nobody else is there. Once only.
 * Returns 0, or -1 with the reason in 'why'. Loop thread. */
int tiny_control_listen(tiny_control *control, const tiny_conf *conf, char *why, size_t why_size);

/* Closing has begun: unless tiny_control_close() comes within 'ms', end the process with 252,
 * or 253 when Lua is hung.
 * The first call counts, later ones only when sooner. Any thread. */
void tiny_control_deadline(tiny_control *control, uint64_t ms);

/* Tell those who wait for the closing that it is over (forced or not), remove the socket, give the
 * signals back, end and join the thread, free. Loop thread; every ask that was taken has been
 * answered, and the pid file is locked still. */
void tiny_control_close(tiny_control *control, bool forced);

/* For what else lives on the control thread. An errand is part of what it is about; it is
 * run there once for each sending, in order. Any thread, never waits; not while it is still
 * under way, and not after tiny_control_close(). */
typedef struct tiny_errand tiny_errand;
struct tiny_errand {
  void (*run)(tiny_errand *errand);
  tiny_errand *next; /* the control's own */
};
void tiny_control_send(tiny_control *control, tiny_errand *errand);

/* The thread's loop, to be touched on that thread only. Whoever opens a handle on it
 * has closed it before tiny_control_close(). */
uv_loop_t *tiny_control_loop(tiny_control *control);

/* End the process now with this exit code; 'why' goes to the log. Control thread. */
void tiny_control_end(tiny_control *control, int code, const char *why);

/* Somebody asked for the closing: post it, once, and start its deadlines. Control thread. */
void tiny_control_begin_close(tiny_control *control);

#endif
