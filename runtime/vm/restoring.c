/* SPDX-License-Identifier: MIT
 * restoring.c -- choosing among the files of a checkpoint and what etcd has, and unpacking it. */
#include "restoring.h"
#include "context.h"

#include "base64.h"
#include "carry.h"
#include "checkpoint.h"
#include "runtime.h"
#include "saver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tiny_restoring {
  tiny_job job;
  tiny_generation *generation;
  char *path, *previous;
  bool stop_on_damage, done;
  char *blob, *shared; /* of a file, and what etcd had: one of them is what 'found' points into */
  tiny_checkpoint found;
  bool found_one;
  bool lost; /* there was one, and no good one is left */
  uint64_t begun_ns;
  int rc;
  char why[1024];
};

/* -- on the helper thread -------------------------------------------------- */

typedef enum outcome { GOOD, NONE, DAMAGED, UNREADABLE } outcome;

static outcome try_file(tiny_restoring *r, const char *path) {
  int rc = tiny_checkpoint_read(path, &r->blob, &r->found, r->why, sizeof r->why);
  if (rc == 0) return GOOD;
  if (rc == -ENOENT) return NONE;
  tiny_err(r->job.runtime->log, "checkpoint %s", r->why);
  return rc == -EBADMSG || rc == -EIO ? DAMAGED : UNREADABLE;
}

/* What etcd had, decoded in place. */
static outcome try_shared(tiny_restoring *r, tiny_checkpoint *shared) {
  size_t size;
  const char *why = "it is no base64";
  char fault[64];
  if (!r->shared) return NONE;
  if (tiny_base64_decode(r->shared, strlen(r->shared), r->shared, &size) == 0) {
    if (tiny_checkpoint_parse(r->shared, size, shared, fault, sizeof fault) == 0) return GOOD;
    why = fault;
  }
  snprintf(r->why, sizeof r->why, "in etcd is damaged: %s", why);
  tiny_err(r->job.runtime->log, "checkpoint %s", r->why);
  return DAMAGED;
}

/* A damaged newest one gets another name, for whoever wants to look at it, and lest it push the
 * good one before out. What only cannot be read now must not be lost by going on without it. */
static void choose(tiny_restoring *r) {
  tiny_checkpoint shared;
  outcome kept = try_shared(r, &shared), newest = try_file(r, r->path), before = NONE;
  if (newest == NONE || newest == DAMAGED) before = try_file(r, r->previous);
  r->found_one = newest == GOOD || before == GOOD;
  if (kept == GOOD && (!r->found_one || tiny_checkpoint_newer(&shared, &r->found)))
    r->found = shared;
  r->found_one = r->found_one || kept == GOOD;
  r->lost = !r->found_one && (newest == DAMAGED || before == DAMAGED || kept == DAMAGED);
  bool unreadable = kept != GOOD && (newest == UNREADABLE || before == UNREADABLE);
  if (unreadable || (r->lost && r->stop_on_damage))
    r->rc = -1;
  else if (newest == DAMAGED)
    tiny_checkpoint_put_aside(r->path);
}

static int unpack(tiny_restoring *r) {
  tiny_parcel parcel = {(char *)(uintptr_t)r->found.bytes, r->found.size};
  return tiny_generation_restore(r->generation, &parcel, r->why, sizeof r->why);
}

static void restore(tiny_job *job) {
  tiny_restoring *r = (tiny_restoring *)job;
  tiny_checkpoint_tidy(r->path);
  if (r->job.runtime->fresh) return;
  choose(r);
  if (r->found_one) r->rc = unpack(r);
}

/* -- on the loop thread ---------------------------------------------------- */

static void on_restored(tiny_job *job) { ((tiny_restoring *)job)->done = true; }

static void free_restoring(tiny_restoring *r) {
  free(r->blob);
  free(r->shared);
  free(r->path);
  free(r->previous);
  free(r);
}

/* The term has ended without an answer: it will be withdrawn. */
static void on_fetched(void *data, int rc, char *text) {
  tiny_restoring *r = data;
  r->shared = text;
  if (rc == 0) rc = tiny_job_start(r->job.runtime, &r->job);
  if (rc == 0) return;
  r->rc = -1;
  r->done = true;
  snprintf(r->why, sizeof r->why, "could not be fetched");
}

/* Returns 0, or -1 when memory or the thread could not be had. */
static int begin(tiny_restoring *r) {
  tiny *rt = r->job.runtime;
  if (!rt->duty || rt->fresh) return tiny_job_start(rt, &r->job);
  tiny_duty_fetch(rt->duty, on_fetched, r);
  return 0;
}

tiny_restoring *tiny_restoring_begin(tiny *rt, tiny_generation *g) {
  tiny_restoring *r = calloc(1, sizeof *r);
  const char *policy = tiny_conf_string(g->conf, "svr.checkpoint.on_damage");
  if (!r) return NULL;
  r->job = (tiny_job){.work = restore, .done = on_restored, .runtime = rt};
  r->generation = g;
  r->begun_ns = tiny_timers_now();
  r->path = tiny_conf_path(g->conf, "svr.checkpoint.path");
  r->previous = r->path ? tiny_checkpoint_previous(r->path) : NULL;
  r->stop_on_damage = policy && strcmp(policy, "stop") == 0;
  if (r->previous && begin(r) == 0) return r;
  free_restoring(r);
  return NULL;
}

bool tiny_restoring_done(const tiny_restoring *r) { return r->done; }

static void tell_found(const tiny_restoring *r) {
  char when[32] = "?";
  struct tm local;
  time_t saved_at = (time_t)r->found.saved_at;
  if (localtime_r(&saved_at, &local)) strftime(when, sizeof when, "%Y/%m/%d %H:%M:%S", &local);
  tiny_info(r->job.runtime->log, "context restored: checkpoint %llu of %s, %zu bytes in %.1f ms",
            (unsigned long long)r->found.sequence, when, r->found.size,
            (double)(tiny_timers_now() - r->begun_ns) / 1e6);
}

static void explain(const tiny_restoring *r, char *why, size_t why_size) {
  const char *choice = r->lost ? "; svr.checkpoint.on_damage is \"stop\"" : "";
  snprintf(why, why_size, "checkpoint %s%s; tiny run --fresh begins without it", r->why, choice);
}

int tiny_restoring_end(tiny_restoring *r, char *why, size_t why_size) {
  tiny *rt = r->job.runtime;
  int rc = r->rc;
  if (rc != 0)
    explain(r, why, why_size);
  else if (r->found_one)
    tell_found(r);
  else if (r->lost)
    tiny_err(rt->log, "the context is lost: the server begins with an empty one");
  tiny_saver_continue(rt->saver, r->found_one ? r->found.sequence : 0, rt->fresh);
  rt->fresh = false; /* of the first start only */
  free_restoring(r);
  return rc;
}
