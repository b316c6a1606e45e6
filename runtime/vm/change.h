/* SPDX-License-Identifier: MIT
 * change.h -- one generation takes another's place. The start is a change from nothing; what
 * differs is only that there is no way back.
 *
 *     load (helper) -> admit -> quiet -> on_close -> carry -> on_start -> commit
 *                        |                 |           |         |
 *                     refused              +------ roll back ----+
 *
 * In the place of quiet, on_close and carry the start has restore: the context of the last
 * checkpoint, if checkpoints are made. One of several stands by after admission, and goes on
 * from there when it is elected.
 *
 * These are the steps as they call each other; each takes its generations from runtime->change.
 * Asking for a change from elsewhere is in runtime.h. Loop thread. */
#ifndef TINY_CHANGE_H
#define TINY_CHANGE_H

#include "runtime.h"

/* -- on to the new one */
void tiny_change_admit(tiny *runtime);    /* admission.c: the candidate has loaded */
void tiny_change_stand_by(tiny *runtime); /* standing.c: in force, but idle */
void tiny_change_restore(tiny *runtime);  /* standing.c: from the checkpoint, then enter */
void tiny_change_pause(tiny *runtime);    /* handover.c: the old one stops, then enter */
void tiny_change_enter(tiny *runtime);    /* entrance.c: on_start, then it serves */
void tiny_change_serve(tiny *runtime, tiny_generation *generation); /* entrance.c */
void tiny_change_tune(tiny *runtime,
                      const tiny_generation *generation); /* entrance.c: its timers' precision */

/* -- not on to it */
void tiny_change_discard(tiny *runtime,
                         tiny_generation *generation); /* rollback.c: throw it away */
void tiny_change_withdraw(tiny *runtime);  /* standing.c: the term is over before it has begun */
void tiny_change_roll_back(tiny *runtime); /* rollback.c: change.why says why */
void tiny_change_roll_back_because(tiny *runtime, const char *why);

/* -- outcome.c: each is the end of the change */
void tiny_change_started(tiny *runtime);
void tiny_change_standing(tiny *runtime);
void tiny_change_reloaded(tiny *runtime);
void tiny_change_refused(tiny *runtime); /* change.why says why */
void tiny_change_lost(tiny *runtime);    /* neither could the old one be resumed: the server ends */
void tiny_change_unstarted(tiny *runtime, int code); /* a start that failed: the server ends */
void tiny_change_finish(tiny *runtime, bool ok, const char *text);
void tiny_asks_answer(tiny_ask *asks, bool ok, const char *text);

#endif
