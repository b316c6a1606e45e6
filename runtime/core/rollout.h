/* SPDX-License-Identifier: MIT
 * rollout.h -- bringing a change of the shared configuration to the members of a cluster, one after the other:
 * the standbys first, the active last. Each publishes which version it has in force; whose turn it is
 * takes a lock in etcd, reloads, and lets go of it. Who refuses publishes that too, and all the others stop there.
 * Control thread. */
#ifndef TINY_ROLLOUT_H
#define TINY_ROLLOUT_H

#include "etcd.h"
#include "log.h"
#include <stdbool.h>

typedef struct tiny_rollout tiny_rollout;

/* Borrowed, and outliving it. The functions are called with 'data'. */
typedef struct tiny_rollout_parts {
  uv_loop_t *loop;
  tiny_log *log;
  const tiny_etcd_plugin *plugin;
  const char *name;                 /* of the cluster */
  const json_t *identity;           /* as among the members */
  const char *(*lease)(void *data); /* ours, "" while there is none */
  void (*reload)(void *data);       /* tiny_rollout_reloaded() tells how it went */
  void (*refused)(void *data, const char *version, const char *why); /* to be published */
  /* What to show of it, a new reference: {"in_etcd", "in_force", "refused"}, each text or null. */
  void (*show)(void *data, json_t *shown);
  void *data;
} tiny_rollout_parts;

/* NULL when out of memory. */
tiny_rollout *tiny_rollout_open(const tiny_rollout_parts *parts,
                                const tiny_etcd_settings *settings);
void tiny_rollout_settle(tiny_rollout *rollout, const tiny_etcd_settings *settings);

/* What is in etcd, and what is in force here. The first version is taken at once, whoever's turn it is. */
void tiny_rollout_found(tiny_rollout *rollout, const char *version);
void tiny_rollout_applied(tiny_rollout *rollout, const char *version);

/* Who there is: {identity..., "role", "conf": the version in force, "refused": another that was refused,
 * "why"} each; borrowed. */
void tiny_rollout_members(tiny_rollout *rollout, const json_t *members);

void tiny_rollout_reloaded(tiny_rollout *rollout, bool ok, const char *why);

/* Frees in the close callback of its handle. */
void tiny_rollout_close(tiny_rollout *rollout);

#endif
