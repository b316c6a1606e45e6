/* SPDX-License-Identifier: MIT
 * endpoints.h -- the addresses that one socket listens at, tried again until each can be had. */
#ifndef TINY_FEED_ENDPOINTS_H
#define TINY_FEED_ENDPOINTS_H

#include "publisher.h"

typedef struct tiny_endpoint tiny_endpoint;

typedef struct tiny_endpoints {
  const tiny_publisher_parts *parts;
  void *zmq;
  tiny_endpoint *first;
  uv_timer_t retry;
  uint64_t pause_ms; /* before the next try */
} tiny_endpoints;

/* Borrows both; listens nowhere yet. */
void tiny_endpoints_open(tiny_endpoints *endpoints, const tiny_publisher_parts *parts, void *zmq);

/* Listen at the texts of 'uris', and no longer at others. */
void tiny_endpoints_set(tiny_endpoints *endpoints, const json_t *uris);

/* Listen nowhere and close the handle; 'closed' is its close callback. Before the socket is closed. */
void tiny_endpoints_close(tiny_endpoints *endpoints, uv_close_cb closed);

#endif
