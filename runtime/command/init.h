/* SPDX-License-Identifier: MIT
 * init.h -- process 1 of a container. */
#ifndef TINY_INIT_H
#define TINY_INIT_H

/* When we are process 1: go on in a child, while process 1 only reaps orphans, passes signals on
 * and ends as the child does. The kernel makes every orphan a child of process 1, and those that
 * our libraries wait for could not be told from them. Returns in the child, and where we are not
 * process 1. Before threads. */
void tiny_init(void);

#endif
