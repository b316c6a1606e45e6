/* SPDX-License-Identifier: MIT
 * privilege.c -- users, groups, and the drop. */
#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int fail(char *why, size_t why_size, const char *what, const char *name,
                const char *reason) {
  snprintf(why, why_size, "%s %s: %s", what, name, reason);
  return -1;
}

/* A number that fits an id and is not "unchanged". */
static bool number_of(const char *text, unsigned *number) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  *number = (unsigned)value;
  return *text >= '0' && *text <= '9' && !*end && errno == 0 && value < (unsigned)-1;
}

static int find_user(tiny_identity *id, const char *user, char *why, size_t why_size) {
  char room[16384];
  struct passwd entry, *found = NULL;
  unsigned number;
  getpwnam_r(user, &entry, room, sizeof room, &found);
  if (!found && number_of(user, &number)) {
    getpwuid_r(number, &entry, room, sizeof room, &found);
    id->uid = number;
  }
  if (!found)
    return id->uid == (uid_t)-1 ? fail(why, why_size, "svr.user", user, "there is no such user")
                                : 0;
  id->uid = found->pw_uid;
  id->gid = found->pw_gid;
  snprintf(id->name, sizeof id->name, "%s", found->pw_name);
  return 0;
}

static int find_group(tiny_identity *id, const char *group, char *why, size_t why_size) {
  char room[65536];
  struct group entry, *found = NULL;
  unsigned number;
  getgrnam_r(group, &entry, room, sizeof room, &found);
  if (found)
    id->gid = found->gr_gid;
  else if (number_of(group, &number))
    id->gid = number;
  else
    return fail(why, why_size, "svr.group", group, "there is no such group");
  return 0;
}

static bool is_already(const tiny_identity *id) {
  return (id->uid == (uid_t)-1 || (id->uid == geteuid() && id->uid == getuid())) &&
         (id->gid == (gid_t)-1 || (id->gid == getegid() && id->gid == getgid()));
}

int tiny_privilege_find(tiny_identity *id, const char *user, const char *group, char *why,
                        size_t why_size) {
  *id = (tiny_identity){.uid = (uid_t)-1, .gid = (gid_t)-1};
  if (user && find_user(id, user, why, why_size) != 0) return -1;
  if (group && find_group(id, group, why, why_size) != 0) return -1;
  if (user && id->gid == (gid_t)-1)
    return fail(why, why_size, "svr.user", user, "is a bare number: it needs svr.group too");
  if (geteuid() == 0 || is_already(id)) return 0;
  return fail(why, why_size, user ? "svr.user" : "svr.group", user ? user : group,
              "only root can become another");
}

static int set_groups(const tiny_identity *id) {
  if (id->name[0]) return initgroups(id->name, id->gid);
  if (id->uid != (uid_t)-1) return setgroups(1, &id->gid);
  return 0;
}

/* Nothing may be left that root could come back by. */
static bool can_return(const tiny_identity *id) {
  uid_t real, effective, saved;
  if (id->uid == (uid_t)-1 || id->uid == 0) return false;
  getresuid(&real, &effective, &saved);
  return real != id->uid || effective != id->uid || saved != id->uid || setuid(0) == 0;
}

int tiny_privilege_drop(const tiny_identity *id, char *why, size_t why_size) {
  if (is_already(id)) return 0;
  bool ok = set_groups(id) == 0 && setresgid(id->gid, id->gid, id->gid) == 0 &&
            setresuid(id->uid, id->uid, id->uid) == 0;
  if (!ok) {
    snprintf(why, why_size, "cannot become user %d, group %d: %s", (int)id->uid, (int)id->gid,
             strerror(errno));
    return -1;
  }
  if (can_return(id)) {
    snprintf(why, why_size, "user %d could become root again", (int)id->uid);
    return -1;
  }
  prctl(PR_SET_DUMPABLE, 1);
  return 0;
}
