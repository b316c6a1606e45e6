/* SPDX-License-Identifier: MIT
 * check.c -- tiny.h: a generation is loaded only to see whether it can be. */
#include "build.h"
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int load(tiny *rt, const tiny_options *options, char *why, size_t why_size) {
  tiny_generation *g = tiny_generation_new(rt, 1);
  if (!g) return -1;
  int rc = tiny_generation_load(g, options->conf ? options->conf : "conf.lua", options->script,
                                TINY_FIRST_LOAD_MS, why, why_size);
  if (rc == 0) rc = tiny_log_check(g->conf, why, why_size);
  if (rc == 0) rc = tiny_saver_check(g->conf, why, why_size);
  tiny_generation_close(g);
  return rc;
}

int tiny_check(const tiny_options *options, char *why, size_t why_size) {
  snprintf(why, why_size, options ? "not enough memory" : "no options");
  /* Of it only what a state under construction looks at is made. */
  tiny *rt = options ? calloc(1, sizeof *rt) : NULL;
  if (!rt) return -1;
  tiny_state_init(&rt->state, NULL);
  rt->log = tiny_log_open();
  if (rt->log && !options->console) tiny_log_mute(rt->log);
  int rc = rt->log ? tiny_host_init(&rt->host, options, why, why_size) : -1;
  if (rc == 0) rc = load(rt, options, why, why_size);
  if (rt->log) tiny_log_close(rt->log, TINY_LOG_FLUSH_MS);
  tiny_host_fini(&rt->host);
  tiny_state_fini(&rt->state);
  free(rt);
  return rc;
}
