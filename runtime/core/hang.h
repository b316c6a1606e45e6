/* SPDX-License-Identifier: MIT
 * hang.h -- the watchdog at work on the control thread: it looks, and when Lua hangs it says where,
 * has it interrupted, and sees to it that the process ends. */
#ifndef TINY_HANG_H
#define TINY_HANG_H

#include "control.h"
#include "notify.h"
#include "state.h"
#include <sys/types.h>

typedef struct tiny_hang tiny_hang;

/* What it works with; all borrowed and outliving it. The functions are called on the control
 * thread, with 'data', and do not wait for Lua. */
typedef struct tiny_hang_parts {
  tiny_state *state;
  tiny_log *log;
  tiny_control *control;
  tiny_notify *notify; /* NULL: no service manager */
  pid_t thread;        /* the loop thread, as the kernel knows it */
  /* What Lua does now, as lines into 'text'. Returns false when it does nothing. */
  bool (*look)(void *data, char *text, size_t size);
  /* Raise an error in Lua that hangs, and close. */
  void (*interrupt)(void *data);
  /* The loop turns, but run is silent: report where it waits, interrupt it if
   * svr.watchdog.interrupt, and close. */
  void (*run_hung)(void *data);
  void *data;
} tiny_hang_parts;

/* Watch by what the conf in force says, once tiny_hang_refresh() was called. NULL when out of
 * memory. Loop thread. */
tiny_hang *tiny_hang_open(const tiny_hang_parts *parts);

/* Another conf is in force. Any thread. */
void tiny_hang_refresh(tiny_hang *hang);

/* Not later than tiny_control_close(), which completes it. Loop thread. */
void tiny_hang_close(tiny_hang *hang);

#endif
