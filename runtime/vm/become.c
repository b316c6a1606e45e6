/* SPDX-License-Identifier: MIT
 * become.c -- the first generation has started: give up what only root may do (svr.user,
 * svr.group). */
#include "privilege.h"
#include "runtime.h"

#include <stdlib.h>
#include <unistd.h>

static int find(tiny_identity *identity, const tiny_conf *conf, char *why, size_t why_size) {
  return tiny_privilege_find(identity, tiny_conf_string(conf, "svr.user"),
                             tiny_conf_string(conf, "svr.group"), why, why_size);
}

int tiny_become_check(const tiny_conf *conf, char *why, size_t why_size) {
  tiny_identity identity;
  return find(&identity, conf, why, why_size);
}

/* What it has to open or remove later on. A file that is not there is no error. */
static void give(char *path, const tiny_identity *identity) {
  if (path && *path && lchown(path, identity->uid, identity->gid) != 0) {}
  free(path);
}

int tiny_become(tiny *rt, const tiny_conf *conf, char *why, size_t why_size) {
  tiny_identity identity;
  if (find(&identity, conf, why, why_size) != 0) return -1;
  tiny_log_flush(rt->log, 1000); /* lines of on_start may be about to make the file */
  give(tiny_pidfile_path(conf, ".pid"), &identity);
  give(tiny_pidfile_path(conf, ".sock"), &identity);
  give(tiny_conf_path(conf, "log.file_log"), &identity);
  if (rt->pidfile) tiny_pidfile_give(rt->pidfile, identity.uid, identity.gid);
  return tiny_privilege_drop(&identity, why, why_size);
}
