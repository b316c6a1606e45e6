/* SPDX-License-Identifier: MIT
 * feed.h -- the monitor feed: what a runtime shows of itself, published over ZeroMQ from
 * the control thread. It costs the loop thread nothing and goes on when Lua hangs. */
#ifndef TINY_FEED_H
#define TINY_FEED_H

#include "control.h"
#include "state.h"

typedef struct tiny_feed tiny_feed;

/* Publish what 'state' shows, as svr.monitor* of the conf in force says: now, and anew
 * with each other conf. All of it borrowed. Returns NULL when out of memory. Loop thread. */
tiny_feed *tiny_feed_open(tiny_control *control, tiny_state *state, tiny_log *log);

/* Stop and free; before tiny_control_close(). Waits for the control thread. NULL is allowed.
 * Loop thread. */
void tiny_feed_close(tiny_feed *feed);

#endif
