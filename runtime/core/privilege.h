/* SPDX-License-Identifier: MIT
 * privilege.h -- becoming another user for good (svr.user, svr.group). */
#ifndef TINY_PRIVILEGE_H
#define TINY_PRIVILEGE_H

#include <stddef.h>
#include <sys/types.h>

/* Who to become; (uid_t)-1 and (gid_t)-1 stay as they are. */
typedef struct tiny_identity {
  uid_t uid;
  gid_t gid;
  char name[256]; /* for the supplementary groups; "" when there is no such user */
} tiny_identity;

/* Look names or numbers up; NULL for what is not to change. A user brings its own group unless
 * 'group' is given. Returns 0, or -1 with the reason in 'why', also when this process may not
 * become that. Any thread. */
int tiny_privilege_find(tiny_identity *identity, const char *user, const char *group, char *why,
                        size_t why_size);

/* Become it, with its supplementary groups, in all threads, with no way back; core dumps stay
 * possible. Returns 0, or -1 with the reason in 'why': do not go on then. Any thread. */
int tiny_privilege_drop(const tiny_identity *identity, char *why, size_t why_size);

#endif
