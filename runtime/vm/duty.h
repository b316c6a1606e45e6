/* SPDX-License-Identifier: MIT
 * duty.h -- the loop thread's side of an election: standing by with a loaded generation, taking up
 * the work when elected, laying it down when no longer. Each term begins in a generation that has
 * done nothing yet. Loop thread; NULL is a server without a cluster. */
#ifndef TINY_DUTY_H
#define TINY_DUTY_H

#include "conf.h"
#include "tiny.h"

typedef struct tiny_duty tiny_duty;

/* Whether that conf is of one of several. */
bool tiny_duty_clustered(const tiny_conf *conf);

/* Whether a server of conf 'old' may go on with 'new'. Returns 0, or -1 with the reason. */
int tiny_duty_check(const tiny_conf *old, const tiny_conf *new, char *why, size_t why_size);

/* Join the cluster. Returns NULL with the reason in 'why'. */
tiny_duty *tiny_duty_open(tiny *runtime, const tiny_conf *conf, char *why, size_t why_size);

/* Another conf is in force: its endpoints, credentials and times count from here on. */
void tiny_duty_follow(tiny_duty *duty, const tiny_conf *conf);

/* What of etcd goes over the conf.lua of the generation that is to be loaded next (shared_conf.h), a copy:
 * for a reload what is there now, for a new term what was in force in the last. NULL
 * when there is nothing of that. */
json_t *tiny_duty_shared(tiny_duty *duty);

/* The generation in force has been loaded and waits: it may be elected. */
void tiny_duty_stand(tiny_duty *duty);
bool tiny_duty_standing(const tiny_duty *duty);

/* The fencing token of the present term, 0 outside of one. */
uint64_t tiny_duty_token(const tiny_duty *duty);

/* Whether we are the active, or about to begin as such. */
bool tiny_duty_serves(const tiny_duty *duty);

/* Keep a checkpoint, as text in base64 that is taken over (for free()), for whoever takes over; bound to our
 * token. 'done' is told 0, or a negative errno with the reason. One at a time. */
void tiny_duty_keep(tiny_duty *duty, char *text, void (*done)(void *data, int rc, const char *why),
                    void *data);

/* What was kept last, for free(); NULL when nothing was. rc is -ECANCELED when the term ended before etcd
 * gave an answer. */
void tiny_duty_fetch(tiny_duty *duty, void (*done)(void *data, int rc, char *text), void *data);

/* Between the loop's turns: act on what was told. */
void tiny_duty_turn(tiny_duty *duty);

/* Before a task runs on: whether the term is over by the clock, perhaps since the process was stopped. */
bool tiny_duty_expired(tiny_duty *duty);

/* The term ended before it had begun well: what was started is gone. Returns whether that is so. */
bool tiny_duty_withdrawn(tiny_duty *duty);

/* The generation that was elected serves. */
void tiny_duty_serve(tiny_duty *duty);

/* All of Lua is gone: let another be elected at once, and wait for etcd to say so, a second at the most. */
void tiny_duty_resign(tiny_duty *duty);

/* After tiny_control_close(), when no ask is left in the inbox. */
void tiny_duty_free(tiny_duty *duty);

#endif
