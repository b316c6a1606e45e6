/* SPDX-License-Identifier: MIT
 * control.h -- the control thread: signals, the control socket and the deadlines
 * of closing. It never waits for Lua, so it answers while Lua hangs. */
#ifndef TINY_CONTROL_H
#define TINY_CONTROL_H

#include "inbox.h"
#include "log.h"
#include "state.h"

typedef struct tiny_control tiny_control;

/* What the control thread works with; all of it borrowed, and outliving it. */
typedef struct tiny_control_parts {
  tiny_state *state;
  tiny_log *log;
  tiny_inbox *inbox;
  bool signals;                        /* take the process's signals: one runtime in a process may */
  /* End the process now with this exit code, the log flushed first. Called on the
   * control thread when closing was forced; does not return for `tiny run`. */
  void (*end)(void *data, int code);
  void *data;
} tiny_control_parts;

/* Start the thread. Signals count from here on. Returns NULL with the reason in 'why'. */
tiny_control *tiny_control_open(const tiny_control_parts *parts, char *why, size_t why_size);

/* Serve the control socket <svr.run_dir>/<svr.name>.sock (0600, owner and root only). A
 * left-over file is replaced: the pid file's lock says nobody else is there.
 * Returns 0, or -1 with the reason in 'why'. Loop thread. */
int tiny_control_listen(tiny_control *control, const tiny_conf *conf, char *why, size_t why_size);

/* Closing has begun: unless tiny_control_close() comes within 'ms', end the process with 252.
 * The first call counts, later ones only when sooner. Any thread. */
void tiny_control_deadline(tiny_control *control, uint64_t ms);

/* Tell those who wait for the closing that it is over (forced or not), remove the socket, give the
 * signals back, end and join the thread, free. Loop thread. */
void tiny_control_close(tiny_control *control, bool forced);

#endif
