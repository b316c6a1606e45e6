/* SPDX-License-Identifier: MIT
 * saver.h -- saves the context of the generation in force: every svr.checkpoint.span, when the
 * script asks for it, and at the end. Packing is done on the loop; writing on a thread of its
 * own, one at a time: what is wanted meanwhile is one more, of the context as it is then. The active of a
 * cluster keeps it in etcd too, not more often than is good for that. Loop thread. */
#ifndef TINY_SAVER_H
#define TINY_SAVER_H

#include "conf.h"
#include "generation.h"

typedef struct tiny_saver tiny_saver;

/* NULL when out of memory. */
tiny_saver *tiny_saver_open(tiny *runtime);
void tiny_saver_close(tiny_saver *saver); /* frees in the handle's close callback */

/* Whether checkpoints are to be made, and can be. Returns 0, or -1 with the reason in 'why'. Any thread. */
bool tiny_saver_wanted(const tiny_conf *conf);
int tiny_saver_check(const tiny_conf *conf, char *why, size_t why_size);

/* What was found at the start: the next is one more. With 'alone' nothing of before is kept. */
void tiny_saver_continue(tiny_saver *saver, uint64_t sequence, bool alone);

/* A generation serves: its conf says how often. */
void tiny_saver_follow(tiny_saver *saver, const tiny_conf *conf);

/* Save the context of the generation in force now, if checkpoints are to be made; it is done,
 * well or badly, when tiny_saver_busy() says false. */
void tiny_saver_save(tiny_saver *saver);
bool tiny_saver_busy(const tiny_saver *saver);

/* For a task that asks for one: wait until the context, as it is now or later, is on disk. Its results are nil and
 * whether it is. */
int tiny_saver_park(tiny_saver *saver, tiny_task *task);

/* Why the last one failed that a task asked for. The text is the saver's. */
const char *tiny_saver_why(const tiny_saver *saver, int *code);
void tiny_saver_failed(tiny_saver *saver, int code, const char *why);
#define TINY_SAVER_SUPERSEDED "a newer generation is in force: the context is that one's"

/* The module tiny.core.saver (api_saver.c). */
int luaopen_tiny_saver(lua_State *L);

#endif
