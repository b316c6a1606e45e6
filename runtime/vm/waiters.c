/* SPDX-License-Identifier: MIT
 * waiters.c -- a list of tasks with a known end. */
#include "waiters.h"
#include "task.h"

void tiny_waiters_add(tiny_waiters *w, tiny_task *task) {
  if (!w->first) w->last = &w->first;
  task->later = NULL;
  *w->last = task;
  w->last = &task->later;
}

void tiny_waiters_remove(tiny_waiters *w, tiny_task *task) {
  tiny_task **at = &w->first;
  while (*at != task) at = &(*at)->later;
  *at = task->later;
  if (!*at) w->last = at;
}

tiny_task *tiny_waiters_take(tiny_waiters *w) {
  tiny_task *task = w->first;
  if (task) tiny_waiters_remove(w, task);
  return task;
}

void tiny_waiters_wake(tiny_waiters *w, unsigned most) {
  for (tiny_task *task; most > 0 && (task = tiny_waiters_take(w)); most--) tiny_task_wake(task);
}
