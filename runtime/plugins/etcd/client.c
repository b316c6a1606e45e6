/* SPDX-License-Identifier: MIT
 * client.c -- calls to whichever endpoint answers. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- ends ------------------------------------------------------------------ */

/* The next call is for another endpoint, unless this one has been left already. */
static void leave_endpoint(const tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  if (call->endpoint == e->current) e->current = (e->current + 1) % e->count;
}

/* {"error": TEXT, "message": TEXT, "code": NUMBER} */
static void end_refused(tiny_etcd_call *call, long status) {
  char text[200];
  json_t *answer = json_loadb(call->bytes ? call->bytes : "", call->used, 0, NULL);
  const char *message = json_string_value(json_object_get(answer, "message"));
  int code = (int)json_integer_value(json_object_get(answer, "code"));
  if (!message) message = json_string_value(json_object_get(answer, "error"));
  snprintf(text, sizeof text, "%s (HTTP %ld)", message ? message : "no etcd answers there", status);
  json_decref(answer);
  if (code == 0) code = TINY_ETCD_UNAVAILABLE;
  if (code == TINY_ETCD_UNAUTHENTICATED && login_try_again(call)) return;
  if (status >= 500) leave_endpoint(call);
  call_finish(call, code, text);
}

/* A watch whose time is up was answered all along. */
static void end_failed(tiny_etcd_call *call, CURLcode failure) {
  char text[300];
  bool patient = failure == CURLE_OPERATION_TIMEDOUT && call->answered;
  const tiny_etcd *e = call->etcd;
  snprintf(text, sizeof text, "%.150s: %s", e->endpoints[call->endpoint],
           curl_easy_strerror(failure));
  if (!patient) leave_endpoint(call);
  call_finish(call, TINY_ETCD_NO_ANSWER, text);
}

static void on_done(void *data, CURL *easy, CURLcode code) {
  (void)data;
  tiny_etcd_call *call;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
  long status = call_status(call);
  if (code != CURLE_OK)
    end_failed(call, code);
  else if (status >= 400)
    end_refused(call, status);
  else if (call_give_lines(call, true))
    call_finish(call, TINY_ETCD_OK, "");
}

static void on_turned(void *data) {
  for (tiny_etcd_call *call; (call = call_fresh(data));) call_give_lines(call, false);
}

/* -- the client ------------------------------------------------------------ */

static char *copy(const char *text) { return text ? strdup(text) : NULL; }

static int copy_endpoints(tiny_etcd *e, const json_t *list) {
  size_t i;
  const json_t *url;
  e->endpoints = calloc(json_array_size(list), sizeof *e->endpoints);
  if (!e->endpoints) return -1;
  json_array_foreach(list, i, url) {
    char *endpoint = copy(json_string_value(url));
    if (!endpoint) return -1;
    size_t length = strlen(endpoint);
    if (length && endpoint[length - 1] == '/') endpoint[length - 1] = 0;
    e->endpoints[e->count++] = endpoint;
  }
  return e->count > 0 ? 0 : -1;
}

static void free_client(tiny_etcd *e) {
  for (size_t i = 0; i < e->count; i++) free(e->endpoints[i]);
  free(e->endpoints);
  free(e->ca);
  free(e->cert);
  free(e->key);
  free(e->user);
  free(e->password);
  free(e->token);
  free(e);
}

static tiny_etcd *open_client(uv_loop_t *loop, const tiny_etcd_settings *settings) {
  tiny_etcd *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  curl_global_init(CURL_GLOBAL_ALL);
  e->ca = copy(settings->ca);
  e->cert = copy(settings->cert);
  e->key = copy(settings->key);
  e->user = copy(settings->user);
  e->password = copy(settings->password);
  e->connect_ms = settings->connect_ms;
  multi_owner owner = {on_turned, on_done, e};
  if (copy_endpoints(e, settings->endpoints) == 0) e->multi = multi_open(loop, &owner);
  if (e->multi) return e;
  free_client(e);
  return NULL;
}

static void close_client(tiny_etcd *e) {
  while (e->calls) call_cancel(e->calls);
  multi_close(e->multi);
  free_client(e);
}

static tiny_etcd_call *ask_etcd(tiny_etcd *e, const tiny_etcd_ask *ask) {
  tiny_etcd_call *call = call_new(e, ask);
  if (!call || login_begin(call) == 0) return call;
  call_cancel(call);
  return NULL;
}

extern const tiny_etcd_plugin tiny_etcd_plugin_table;
__attribute__((visibility("default")))
const tiny_etcd_plugin tiny_etcd_plugin_table = {open_client, close_client, ask_etcd, call_cancel};
