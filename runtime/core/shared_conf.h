/* SPDX-License-Identifier: MIT
 * shared_conf.h -- the keys of conf.lua that all members of a cluster share: what is in etcd below
 * svr.cluster.conf_prefix, now and whenever it changes. Control thread. */
#ifndef TINY_SHARED_CONF_H
#define TINY_SHARED_CONF_H

#include "etcd.h"
#include "log.h"

typedef struct tiny_shared_conf tiny_shared_conf;

/* 'changed' is told what is there, a new reference to
 *   {"version": "118.3", "prefix": PREFIX, "keys": {KEY: {"value": JSON}, KEY: {"text": TEXT}}}
 * ("text": it is no JSON); once at first, and when it is something else. A version is the newest
 * revision among the keys and their number: two that are equal hold the same. 'plugin' and 'log'
 * are borrowed. NULL when out of memory. */
tiny_shared_conf *tiny_shared_conf_open(uv_loop_t *loop, tiny_log *log,
                                        const tiny_etcd_plugin *plugin,
                                        const tiny_etcd_settings *settings, const char *prefix,
                                        void (*changed)(void *data, json_t *shared), void *data);

/* Other settings; what is under way is asked again of the new ones. */
void tiny_shared_conf_settle(tiny_shared_conf *shared, const tiny_etcd_settings *settings);

/* Frees in the close callback of its handle. */
void tiny_shared_conf_close(tiny_shared_conf *shared);

#endif
