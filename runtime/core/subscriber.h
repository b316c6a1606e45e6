/* SPDX-License-Identifier: MIT
 * subscriber.h -- what the plugin "feed" gives to those who watch: the messages of other
 * servers' feeds. All of it belongs to the thread of the loop. */
#ifndef TINY_SUBSCRIBER_H
#define TINY_SUBSCRIBER_H

#include <stddef.h>
#include <uv.h>

typedef struct tiny_subscriber tiny_subscriber;

/* Keys in Z85. */
typedef struct tiny_curve {
  char server[41], public[41], secret[41];
} tiny_curve;

/* Called with each message of an endpoint; 'text' lives during the call, and ends with a NUL. */
typedef void (*tiny_message_fn)(void *data, const char *topic, const char *text, size_t size);

typedef struct tiny_subscriber_table {
  /* For 'most' endpoints. Returns NULL with the reason in 'why'. */
  tiny_subscriber *(*open)(uv_loop_t *loop, int most, char *why, size_t why_size);

  /* Subscribe at 'endpoint', now or as soon as somebody publishes there. With 'curve' (NULL: none) by
   * CURVE. Returns 0, or -1 with the reason in 'why': it is no endpoint, or a key is no key. */
  int (*add)(tiny_subscriber *subscriber, const char *endpoint, const tiny_curve *curve,
             tiny_message_fn message, void *data, char *why, size_t why_size);

  /* Close all of it. The memory goes with the close callbacks of its handles. */
  void (*close)(tiny_subscriber *subscriber);
} tiny_subscriber_table;

/* The plugin "feed" has one under this name. */
extern const tiny_subscriber_table tiny_feed_subscriber;

#endif
