/* SPDX-License-Identifier: MIT
 * publisher.h -- what the plugin "feed" gives to the feed: messages of one topic sent to
 * whoever subscribes, over ZeroMQ. All of it belongs to the thread of the loop. */
#ifndef TINY_PUBLISHER_H
#define TINY_PUBLISHER_H

#include "log.h"
#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

typedef struct tiny_publisher tiny_publisher;

/* Whom a publisher works for, and how. The functions are called from the loop with 'data'. */
typedef struct tiny_publisher_parts {
  uv_loop_t *loop;
  const char *topic;          /* outlives the publisher */
  const json_t *curve;        /* svr.monitor.curve; NULL: none. Read during opening only */
  void (*joined)(void *data); /* somebody has subscribed */
  void (*say)(void *data, tiny_level level, const char *text); /* a line for the log */
  void *data;
} tiny_publisher_parts;

typedef struct tiny_publisher_table {
  /* Returns NULL with the reason in 'why'. */
  tiny_publisher *(*open)(const tiny_publisher_parts *parts, char *why, size_t why_size);

  /* Listen at 'endpoints' (an array of texts, ipc paths absolute) and no longer at any other: those
   * that stay keep their subscribers. One that cannot be had is tried again until it can. */
  void (*listen)(tiny_publisher *publisher, const json_t *endpoints);

  /* Whether anybody would receive a message. */
  bool (*is_heard)(const tiny_publisher *publisher);

  /* Send a copy of 'text' to all who have subscribed. Never waits: who does not take its
   * messages misses the newest. */
  void (*send)(tiny_publisher *publisher, const char *text, size_t size);

  /* Close it; its endpoints are free when this returns. What was sent goes out first, for a tenth of
   * a second at most. The memory goes with the close callbacks of its handles. */
  void (*close)(tiny_publisher *publisher);
} tiny_publisher_table;

/* The plugin "feed" has one under this name. */
extern const tiny_publisher_table tiny_feed_publisher;

#endif
