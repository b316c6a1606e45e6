/* SPDX-License-Identifier: MIT
 * etcd.h -- asking an etcd cluster over its JSON gateway: what the "etcd" plugin offers. All of it belongs
 * to the thread of the loop that it was opened on. */
#ifndef TINY_ETCD_H
#define TINY_ETCD_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

typedef struct tiny_etcd tiny_etcd;
typedef struct tiny_etcd_call tiny_etcd_call;

/* Where and as whom. Copied; what is not needed is NULL. */
typedef struct tiny_etcd_settings {
  const json_t *endpoints;     /* a list of URLs, at least one */
  const char *ca, *cert, *key; /* paths of PEM files */
  const char *user, *password;
  uint64_t connect_ms; /* the longest that connecting to one endpoint may take */
} tiny_etcd_settings;

/* A call's outcome next to etcd's own (gRPC) codes, some of which are: */
enum {
  TINY_ETCD_NO_ANSWER = -1, /* no endpoint was reached in time: whether it was done is not known */
  TINY_ETCD_OK = 0,
  TINY_ETCD_NOT_FOUND = 5, /* a lease */
  TINY_ETCD_DENIED = 7,
  TINY_ETCD_EXHAUSTED = 8, /* out of space */
  TINY_ETCD_UNAVAILABLE = 14,
  TINY_ETCD_UNAUTHENTICATED = 16
};

/* One request. 'line' gets each line of the answer, borrowed: of most there is one, of a watch any
 * number. Then, unless it was cancelled, 'end' gets the outcome, once, never from inside ask().
 * Both may cancel calls and ask for more. */
typedef struct tiny_etcd_ask {
  const char *path; /* such as "/v3/kv/txn" */
  json_t *body;     /* its reference is taken over */
  uint64_t timeout_ms;
  void (*line)(void *data, const json_t *line);
  void (*end)(void *data, int code, const char *message);
  void *data;
} tiny_etcd_ask;

/* The plugin's table, the symbol "tiny_etcd_plugin_table" of "etcd". */
typedef struct tiny_etcd_plugin {
  /* Returns NULL when out of memory. */
  tiny_etcd *(*open)(uv_loop_t *loop, const tiny_etcd_settings *settings);
  /* Cancels what is under way; frees in the close callbacks of its handles. */
  void (*close)(tiny_etcd *etcd);
  /* An endpoint that does not answer is not asked again before all others were. Returns NULL when
   * out of memory. */
  tiny_etcd_call *(*ask)(tiny_etcd *etcd, const tiny_etcd_ask *ask);
  void (*cancel)(tiny_etcd_call *call);
} tiny_etcd_plugin;

#endif
