/* SPDX-License-Identifier: MIT
 * roll.c -- a list and its lock. There are few runtimes in a process. */
#include "roll.h"
#include "runtime.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static tiny *first;

void tiny_roll_add(tiny *rt) {
  pthread_mutex_lock(&lock);
  rt->host.next = first;
  first = rt;
  pthread_mutex_unlock(&lock);
}

static tiny **find(const tiny *rt) {
  tiny **at = &first;
  while (*at && *at != rt) at = &(*at)->host.next;
  return at;
}

void tiny_roll_remove(tiny *rt) {
  pthread_mutex_lock(&lock);
  tiny **at = find(rt);
  if (*at) *at = rt->host.next;
  pthread_mutex_unlock(&lock);
}

int tiny_roll_enter(const tiny *rt) {
  if (!rt) return -EINVAL;
  pthread_mutex_lock(&lock);
  if (*find(rt)) return 0;
  pthread_mutex_unlock(&lock);
  return -EBADF;
}

void tiny_roll_leave(void) { pthread_mutex_unlock(&lock); }
