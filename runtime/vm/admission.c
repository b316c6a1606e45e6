/* SPDX-License-Identifier: MIT
 * admission.c -- what a candidate that has loaded can still be refused for before anyone notices,
 * and the way it goes on from there. */
#include "change.h"

#include <stdio.h>

static int compare(const tiny_conf *old, const tiny_conf *new, char *why, size_t why_size) {
  static const char *const fixed[] = {"svr.name",  "svr.run_dir",      "svr.user",
                                      "svr.group", "svr.cluster.name", NULL};
  for (int i = 0; fixed[i]; i++) {
    if (tiny_conf_same(old, new, fixed[i])) continue;
    snprintf(why, why_size, "%s: %s has changed: that needs a restart", tiny_conf_file(new),
             fixed[i]);
    return -1;
  }
  return tiny_duty_check(old, new, why, why_size);
}

/* Against what is in force, or was, when an active has become a standby. */
static int check_unchanged(tiny *rt, const tiny_conf *new, char *why, size_t why_size) {
  tiny_conf *old = tiny_state_hold_conf(&rt->state);
  int rc = compare(old, new, why, why_size);
  tiny_conf_drop(old);
  return rc;
}

/* First start: the name is ours from here on, and commands can reach us. */
static int claim(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  if (!rt->control_files) return 0;
  rt->pidfile = tiny_pidfile_lock(conf, why, why_size);
  if (!rt->pidfile) return -1;
  if (tiny_control_listen(rt->control, conf, why, why_size) != 0) return -1;
  return tiny_pidfile_note(rt->pidfile, conf, why, why_size);
}

/* What only the first start does. */
static int begin(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  if (rt->exits && tiny_become_check(conf, why, why_size) != 0) return -1;
  if (claim(rt, conf, why, why_size) != 0) return -1;
  if (!tiny_duty_clustered(conf)) return 0;
  rt->duty = tiny_duty_open(rt, conf, why, why_size);
  return rt->duty ? 0 : -1;
}

void tiny_change_admit(tiny *rt) {
  tiny_change *c = &rt->change;
  bool first = rt->last_number == 0;
  int rc = tiny_log_check(c->to->conf, c->why, sizeof c->why);
  if (rc == 0) rc = tiny_saver_check(c->to->conf, c->why, sizeof c->why);
  if (rc == 0 && !first) rc = check_unchanged(rt, c->to->conf, c->why, sizeof c->why);
  if (rc == 0 && first) rc = begin(rt, c->to->conf, c->why, sizeof c->why);
  if (rc != 0) {
    tiny_change_discard(rt, c->to);
    tiny_change_refused(rt);
  } else if (rt->duty && (!c->from || tiny_duty_standing(rt->duty))) {
    tiny_change_stand_by(rt);
  } else if (c->from) {
    tiny_change_pause(rt);
  } else {
    tiny_state_conf(&rt->state, c->to->conf);
    tiny_hung_watch(rt);
    tiny_change_restore(rt);
  }
}
