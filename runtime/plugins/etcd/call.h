/* SPDX-License-Identifier: MIT
 * call.h -- one call to etcd: made, sent, answered, ended. The plugin's own. */
#ifndef TINY_ETCD_CALL_H
#define TINY_ETCD_CALL_H

#include "curl/multi.h"
#include "etcd.h"

#include <stdbool.h>

struct tiny_etcd_call {
  tiny_etcd *etcd;
  tiny_etcd_call *prev, *next;
  tiny_etcd_ask ask;
  char *path, *body;
  CURL *easy; /* NULL while it waits for the login */
  struct curl_slist *headers;
  size_t endpoint; /* which was asked */
  char *token;     /* the login it was sent with */
  bool due;        /* the login it waited for is over */
  bool retried;    /* with a new login */
  char *bytes;     /* of the answer, not yet looked at */
  size_t used, room;
  bool fresh;    /* some of them are new */
  bool answered; /* something came */
  bool busy;     /* in a callback of its own: freed after it */
  bool ended;
};

struct tiny_etcd {
  multi *multi;
  char **endpoints;
  size_t count, current;
  char *ca, *cert, *key, *user, *password, *token;
  uint64_t connect_ms;
  tiny_etcd_call *calls;
  tiny_etcd_call *login; /* under way */
};

/* Takes the ask's body over. NULL when out of memory. */
tiny_etcd_call *call_new(tiny_etcd *etcd, const tiny_etcd_ask *ask);

/* To the endpoint that is asked at present. Returns 0, or -1 when out of memory. */
int call_send(tiny_etcd_call *call);

/* Forget what was sent, to send it again. */
void call_stop(tiny_etcd_call *call);

/* Not to be heard of again; or heard of once more, with its outcome. Either frees it. */
void call_cancel(tiny_etcd_call *call);
void call_finish(tiny_etcd_call *call, int code, const char *message);

/* What libcurl writes the answer with; 'data' is the call. */
size_t call_on_bytes(char *bytes, size_t size, size_t count, void *data);

/* The HTTP status; 0 before there is one. */
long call_status(const tiny_etcd_call *call);

/* Hand out whole lines; at the end, 'all', the rest too. Returns false when the call is over by that. */
bool call_give_lines(tiny_etcd_call *call, bool all);

/* A call with bytes that were not looked at yet, of an answer that is none of etcd's errors. */
tiny_etcd_call *call_fresh(const tiny_etcd *etcd);

/* login.c: send a call, after a login where one is needed. Returns 0, or -1 when out of memory. */
int login_begin(tiny_etcd_call *call);

/* A call was refused for its login. Returns whether it is tried again with another. */
bool login_try_again(tiny_etcd_call *call);

#endif
