/* SPDX-License-Identifier: MIT
 * worker.h -- thread timers: a thread with a Lua state of its own, in which one function is
 * called again and again and may block. What goes in and comes out are parcels of plain
 * data (carry.h). All is for the loop thread. */
#ifndef TINY_WORKER_H
#define TINY_WORKER_H

#include "carry.h"
#include "generation.h"

typedef struct tiny_worker tiny_worker;

/* A thread for the timer of that key. 'setup' says what to call and with what; its bytes are taken
 * over. It begins by loading that. Returns its id, 0 when memory or a thread could not be had. */
unsigned tiny_worker_open(tiny_generation *generation, const char *key, tiny_parcel setup);

/* Ask for a call. It begins when the last one, and that of an older generation's timer of the same
 * key, has come back. What comes of it goes to driver.worker_done() of the generation in force.
 * Without effect for an id that is over. */
void tiny_worker_call(tiny_generation *generation, unsigned id, double missed);

/* It ends when its running call has come back. */
void tiny_worker_close(tiny_generation *generation, unsigned id);

/* The same for all of a generation. */
void tiny_workers_stop(tiny_generation *generation);

/* Between turns: hand what has come back to the server. */
void tiny_workers_turn(tiny *runtime);

/* Whether a call is under way, or its result not handed over yet. */
bool tiny_workers_busy(const tiny *runtime);

/* Closing: tell whose call has not come back, and wait for these no more. */
void tiny_workers_give_up(tiny *runtime);

/* Handler of TINY_DUE_WORKER: a call takes longer than svr.timer.run_status_check_time_span. */
void tiny_worker_on_due(void *data, tiny_due id, uint64_t word, uint64_t now);

int luaopen_tiny_worker(lua_State *L); /* tiny.core.worker */

#endif
