/* SPDX-License-Identifier: MIT
 * send.c -- a call as libcurl has it.
 *
 * HTTP/1.1 on purpose: a call that times out takes its connection with it, so that a half-open
 * path is left at once. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_token(tiny_etcd_call *call) {
  char *line;
  if (asprintf(&line, "Authorization: %s", call->etcd->token) < 0) return;
  call->headers = curl_slist_append(call->headers, line);
  call->token = strdup(call->etcd->token);
  free(line);
}

static void set_tls(const tiny_etcd *e, CURL *easy) {
  if (e->ca) curl_easy_setopt(easy, CURLOPT_CAINFO, e->ca);
  if (e->cert) curl_easy_setopt(easy, CURLOPT_SSLCERT, e->cert);
  if (e->key) curl_easy_setopt(easy, CURLOPT_SSLKEY, e->key);
}

static void set_request(tiny_etcd_call *call, const char *url) {
  CURL *easy = call->easy;
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a dead name server */
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->etcd->connect_ms);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->ask.timeout_ms);
}

int call_send(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  char *url;
  if (asprintf(&url, "%s%s", e->endpoints[e->current], call->path) < 0) return -1;
  call->endpoint = e->current;
  call->easy = curl_easy_init();
  if (call->easy) {
    call->headers = curl_slist_append(NULL, "Content-Type: application/json");
    call->headers = curl_slist_append(call->headers, "Expect:"); /* send large bodies at once */
    if (e->token && call != e->login) set_token(call);
    set_tls(e, call->easy);
    set_request(call, url);
    curl_multi_add_handle(multi_handle(e->multi), call->easy);
  }
  free(url);
  return call->easy ? 0 : -1;
}
