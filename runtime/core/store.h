/* SPDX-License-Identifier: MIT
 * store.h -- the checkpoint of a cluster, kept in etcd for whoever takes over. It can be written by the
 * active only: the write is bound to its token. Control thread. */
#ifndef TINY_STORE_H
#define TINY_STORE_H

#include "etcd.h"
#include "log.h"

enum { TINY_STORE_MOST = 1 << 20 }; /* bytes of a checkpoint: etcd does not take much more */

typedef struct tiny_store tiny_store;

/* NULL when out of memory. 'plugin' and 'log' are borrowed. */
tiny_store *tiny_store_open(uv_loop_t *loop, tiny_log *log, const tiny_etcd_plugin *plugin,
                            const tiny_etcd_settings *settings, const char *name);

/* Other settings; what is under way is asked again of the new ones. */
void tiny_store_settle(tiny_store *store, const tiny_etcd_settings *settings);

/* Write 'text', the checkpoint in base64, which is taken over (for free()), if 'token' is the active's. One
 * at a time; who does not answer is asked again, for three seconds in all. 'done' is told 0, or a negative errno with
 * the reason: -ESTALE, another is the active by now. Old versions are compacted away every few
 * writes, so that they do not fill etcd. */
void tiny_store_put(tiny_store *store, uint64_t token, char *text,
                    void (*done)(void *data, int rc, const char *why), void *data);

/* Read it, again and again until etcd answers. 'done' is told 0 and the text in base64, NULL when there is
 * none; or -ECANCELED. */
void tiny_store_get(tiny_store *store, void (*done)(void *data, int rc, const char *text),
                    void *data);

/* The term is over: what is under way is told -ECANCELED. */
void tiny_store_stop(tiny_store *store);

/* Stops it too. Frees in the close callbacks of its handles. */
void tiny_store_close(tiny_store *store);

#endif
