/* SPDX-License-Identifier: MIT
 * topics.h -- the topics that a socket is subscribed to, so that a new owner can let go of those that
 * it does not want. Zeroed it is empty. */
#ifndef TINY_TOPICS_H
#define TINY_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tiny_topic {
  struct tiny_topic *next;
  bool wanted;
  size_t size;
  char text[];
} tiny_topic;

typedef struct tiny_topics {
  tiny_topic *first;
} tiny_topics;

/* Enter it as wanted. Returns 1 when it is new, 0 when it was there, -1 when out of memory. */
int tiny_topics_add(tiny_topics *topics, const char *text, size_t size);

/* Returns whether it was there. */
bool tiny_topics_remove(tiny_topics *topics, const char *text, size_t size);

/* From here on none is wanted, until it is added again. */
void tiny_topics_doubt(tiny_topics *topics);

/* Take out one that nobody wants; NULL when there is none. For free(). */
tiny_topic *tiny_topics_take_unwanted(tiny_topics *topics);

void tiny_topics_clear(tiny_topics *topics);

#endif
