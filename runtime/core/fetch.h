/* SPDX-License-Identifier: MIT
 * fetch.h -- HTTP requests of our own, by libcurl: the plugin "curl" has the table. Everything
 * on the loop thread. */
#ifndef TINY_FETCH_H
#define TINY_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct tiny_fetcher tiny_fetcher; /* all transfers of a runtime, and its connections */
typedef struct tiny_fetch tiny_fetch;     /* one transfer */

/* What is asked for. Strings are only read by start(); NULL and 0 are the defaults. */
typedef struct tiny_fetch_order {
  const char *url, *method;
  const char *const *headers; /* "Name: value", NULL after the last */
  const char *body;           /* NULL: none, unless it comes in pieces */
  size_t body_size;
  bool sends_pieces;   /* feed() gives the body */
  bool takes_pieces;   /* the answer's body is read as it comes; otherwise all of it is collected */
  size_t max_body;     /* of a collected answer, in bytes */
  uint32_t timeout_ms; /* for all of it */
  uint32_t connect_ms;
  uint32_t redirects;          /* to follow at most */
  bool insecure;               /* TLS certificates are not verified */
  bool compressed;             /* ask for compression and undo it */
  const char *ca, *cert, *key; /* files */
  const char *proxy;           /* its URL */
  const char *user;            /* "name:password" */
  const char *unix_path;       /* of the socket to connect to instead of the URL's host */
} tiny_fetch_order;

/* What has come. Readable at any time between start() and drop(). */
typedef struct tiny_fetch_view {
  bool headed; /* status, head and url are there */
  long status;
  const char *head; /* the lines of the last answer's head */
  size_t head_size;
  const char *url;  /* where it came from in the end */
  const char *body; /* not yet taken */
  size_t body_size;
  bool hungry; /* feed() may be called */
  bool over;   /* nothing more will come */
  int code;    /* once it is over: 0, or a negative UV code that is nearest to what went wrong */
  const char *message; /* and what went wrong, "" when nothing did */
} tiny_fetch_view;

typedef struct tiny_fetch_table {
  tiny_fetcher *(*open)(uv_loop_t *loop); /* NULL when out of memory */
  void (*close)(tiny_fetcher *fetcher);   /* no transfer is left; frees in close callbacks */
  /* 'told' is called with 'owner' at the top of a turn whenever something has changed. Returns
   * NULL with the reason in 'why'. */
  tiny_fetch *(*start)(tiny_fetcher *fetcher, const tiny_fetch_order *order,
                       void (*told)(void *owner), void *owner, char *why, size_t why_size);
  void (*drop)(tiny_fetch *fetch); /* cancel it and free it */
  tiny_fetch_view (*view)(const tiny_fetch *fetch);
  void (*take)(tiny_fetch *fetch, size_t size); /* bytes off the body's beginning */
  int (*feed)(tiny_fetch *fetch, const char *data, size_t size); /* 0 or UV_ENOMEM; NULL: the end */
} tiny_fetch_table;

#define TINY_FETCH_SYMBOL "tiny_fetch_functions"

#endif
