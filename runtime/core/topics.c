/* SPDX-License-Identifier: MIT
 * topics.c -- a list: a socket has few. */
#include "topics.h"

#include <stdlib.h>
#include <string.h>

static tiny_topic **find(tiny_topics *topics, const char *text, size_t size) {
  tiny_topic **at = &topics->first;
  while (*at && ((*at)->size != size || memcmp((*at)->text, text, size) != 0)) at = &(*at)->next;
  return at;
}

int tiny_topics_add(tiny_topics *topics, const char *text, size_t size) {
  tiny_topic **at = find(topics, text, size);
  bool is_new = !*at;
  if (is_new) *at = calloc(1, sizeof **at + size);
  if (!*at) return -1;
  (*at)->wanted = true;
  (*at)->size = size;
  memcpy((*at)->text, text, size);
  return is_new;
}

static tiny_topic *take(tiny_topic **at) {
  tiny_topic *topic = *at;
  if (topic) *at = topic->next;
  return topic;
}

bool tiny_topics_remove(tiny_topics *topics, const char *text, size_t size) {
  tiny_topic *topic = take(find(topics, text, size));
  bool was_there = topic != NULL;
  free(topic);
  return was_there;
}

void tiny_topics_doubt(tiny_topics *topics) {
  for (tiny_topic *t = topics->first; t; t = t->next) t->wanted = false;
}

tiny_topic *tiny_topics_take_unwanted(tiny_topics *topics) {
  tiny_topic **at = &topics->first;
  while (*at && (*at)->wanted) at = &(*at)->next;
  return take(at);
}

void tiny_topics_clear(tiny_topics *topics) {
  while (topics->first) free(take(&topics->first));
}
