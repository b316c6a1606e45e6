/* SPDX-License-Identifier: MIT
 * rounds.h -- how often something is tried that one round would not prove. */
#ifndef TINY_TEST_ROUNDS_H
#define TINY_TEST_ROUNDS_H

#include <stdlib.h>

/* A tenth under valgrind, which is asked about memory and takes fifty times as long; tests/run tells
 * by CK_FORK. */
static inline int rounds_of(int count) { return getenv("CK_FORK") ? count / 10 : count; }

#endif
