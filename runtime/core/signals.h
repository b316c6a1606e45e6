/* SPDX-License-Identifier: MIT
 * signals.h -- the process's signals as counters and one fd that says when to look.
 *
 * They are caught, not blocked and not ignored, so that what Lua executes inherits
 * nothing odd. One runtime in a process has them at a time. */
#ifndef TINY_SIGNALS_H
#define TINY_SIGNALS_H

#include <signal.h>

/* Catch SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGQUIT, and let SIGPIPE pass without
 * effect. Returns a non-blocking fd that is readable when a signal has come, or a
 * negative errno: -EBUSY when another runtime has them. */
int tiny_signals_take(void);

/* Forget that the fd was readable. The thread that reads the fd. */
void tiny_signals_clear(void);

/* How many of 'signal' have come since this was last asked. Any thread. */
unsigned tiny_signals_count(int signal);

/* All signals but those that a thread's own faults raise: blocked, they would end the process without
 * a word. Any thread. */
void tiny_signals_but_faults(sigset_t *set);

/* Put the dispositions from before back and close the fd. The thread that took them. */
void tiny_signals_give_back(void);

#endif
