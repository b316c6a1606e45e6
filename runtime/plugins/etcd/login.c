/* SPDX-License-Identifier: MIT
 * login.c -- name and password for a token, which every call carries; and again when it has expired. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

static void on_login_line(void *data, const json_t *line) {
  tiny_etcd *e = data;
  const char *token = json_string_value(json_object_get(line, "token"));
  free(e->token);
  e->token = token ? strdup(token) : NULL;
}

static tiny_etcd_call *find_due(const tiny_etcd *e) {
  tiny_etcd_call *call = e->calls;
  while (call && !call->due) call = call->next;
  return call;
}

/* Those who have waited go on, or fail with it; not those who are only asked for now. */
static void on_login_end(void *data, int code, const char *message) {
  tiny_etcd *e = data;
  for (tiny_etcd_call *call = e->calls; call; call = call->next) call->due = !call->easy;
  for (tiny_etcd_call *call; (call = find_due(e));) {
    call->due = false;
    if (!e->token || call_send(call) != 0)
      call_finish(call, code ? code : TINY_ETCD_UNAUTHENTICATED,
                  code ? message : "no login was given");
  }
}

/* Returns 0 when the login is under way. */
static int log_in(tiny_etcd *e, uint64_t timeout_ms) {
  if (e->login) return 0;
  tiny_etcd_ask ask = {
      .path = "/v3/auth/authenticate",
      .body = json_pack("{s:s,s:s}", "name", e->user, "password", e->password ? e->password : ""),
      .timeout_ms = timeout_ms,
      .line = on_login_line,
      .end = on_login_end,
      .data = e,
  };
  e->login = call_new(e, &ask);
  if (e->login && call_send(e->login) == 0) return 0;
  if (e->login) call_cancel(e->login);
  return -1;
}

int login_begin(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  return e->user && !e->token ? log_in(e, call->ask.timeout_ms) : call_send(call);
}

/* It may have expired, or etcd has forgotten it by a restart. */
bool login_try_again(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  if (!e->user || call == e->login || call->retried) return false;
  if (e->token && call->token && strcmp(e->token, call->token) == 0) {
    free(e->token);
    e->token = NULL;
  }
  call->retried = true;
  call_stop(call);
  return login_begin(call) == 0;
}
