/* SPDX-License-Identifier: MIT
 * http_events.c -- streams of server-sent events: how they end while there is more to come, and
 * how others go on with them. */
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000 }; /* and up to as much again: not all are to come at once */

int tiny_http_events_begin(tiny_http_conn *c, const char *name) {
  tiny_http_events *events = calloc(1, sizeof *events);
  if (!events) return UV_ENOMEM;
  events->retry_ms = RETRY_MS + (uint32_t)(c->serial * 617 % RETRY_MS);
  events->name = name ? strdup(name) : NULL;
  c->events = events;
  return name && !events->name ? UV_ENOMEM : 0;
}

void tiny_http_events_sent(tiny_http_conn *c, const char *id) {
  free(c->events->last_id);
  c->events->last_id = strdup(id);
}

void tiny_http_events_retry(tiny_http_conn *c, uint32_t ms) { c->events->retry_ms = ms; }

void tiny_http_events_end(tiny_http_conn *c) {
  char text[32];
  int size = snprintf(text, sizeof text, "retry: %u\n\n", c->events->retry_ms);
  tiny_http_stream_write(c, text, (size_t)size); /* not for who does not keep up */
  tiny_http_stream_end(c);
}

void tiny_http_events_carry(tiny_http *http) {
  for (tiny_http_conn *c = http->conns; c; c = c->next) {
    tiny_http_server *server = tiny_http_server_of(c);
    bool named = c->phase == TINY_HTTP_BUSY && c->streams && c->events && c->events->name;
    if (named && server && server->carry) server->carry(server, c);
  }
}

void tiny_http_events_end_all(tiny_http *http) {
  for (tiny_http_conn *c = http->conns, *next; c; c = next) {
    next = c->next;
    if (c->phase != TINY_HTTP_BUSY || !c->streams || !c->events) continue;
    http->hooks->gone(c);
    tiny_http_events_end(c);
  }
}

void tiny_http_renumber(tiny_http_conn *c) { c->serial = ++c->http->serial; }

void tiny_http_events_free(tiny_http_conn *c) {
  if (!c->events) return;
  free(c->events->name);
  free(c->events->last_id);
  free(c->events);
  c->events = NULL;
}
