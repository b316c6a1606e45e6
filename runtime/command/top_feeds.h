/* SPDX-License-Identifier: MIT
 * top_feeds.h -- the servers behind the endpoints that `tiny top` was given. */
#ifndef TINY_TOP_FEEDS_H
#define TINY_TOP_FEEDS_H

#include "subscriber.h"
#include "top_server.h"

typedef struct tiny_top_source tiny_top_source;

typedef struct tiny_top_feeds {
  tiny_top_list list;        /* an endpoint that was not heard yet is one of its servers */
  void (*heard)(void *data); /* after each message; NULL: nobody wants to know */
  void *data;

  const tiny_subscriber_table *table;
  tiny_subscriber *subscriber;
  tiny_top_source *sources;
  int count;
} tiny_top_feeds;

/* Subscribe at all 'endpoints', which outlive it; 'curve' may be NULL. Returns 0, or -1 with the reason
 * in 'why'; to be closed in either case. Zero it first. */
int tiny_top_feeds_open(tiny_top_feeds *feeds, uv_loop_t *loop, char **endpoints, int count,
                        const tiny_curve *curve, char *why, size_t why_size);

/* Whether each endpoint has been heard. */
bool tiny_top_feeds_complete(const tiny_top_feeds *feeds);

void tiny_top_feeds_close(tiny_top_feeds *feeds);

/* Read the keys from a certificate as zmq.auth makes them, with the server's public key added.
 * Returns 0, or -1 with the reason in 'why'. */
int tiny_top_curve_read(tiny_curve *curve, const char *path, char *why, size_t why_size);

#endif
