/* SPDX-License-Identifier: MIT
 * settings.c -- from an order to libcurl's options. */
#include "settings.h"

#include <string.h>

static void set_body(CURL *easy, const tiny_fetch_order *o) {
  if (o->sends_pieces) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  } else if (o->body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_size);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, o->body);
  } else if (strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0 ||
             strcmp(o->method, "PATCH") == 0) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "");
  }
}

/* Whether libcurl takes that method for that body by itself: then it knows what redirects make of it. */
static bool is_usual(const tiny_fetch_order *o) {
  if (o->sends_pieces) return strcmp(o->method, "PUT") == 0;
  return strcmp(o->method, o->body ? "POST" : "GET") == 0 || strcmp(o->method, "POST") == 0;
}

/* After the body, which would set another method. */
static void set_method(CURL *easy, const tiny_fetch_order *o) {
  if (strcmp(o->method, "HEAD") == 0)
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else if (!is_usual(o))
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
}

static void set_limits(CURL *easy, const tiny_fetch_order *o) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a dead name server */
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, (long)(o->redirects > 0));
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)o->redirects);
}

static void set_security(CURL *easy, const tiny_fetch_order *o) {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)!o->insecure);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
  if (o->ca) curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca);
  if (o->cert) curl_easy_setopt(easy, CURLOPT_SSLCERT, o->cert);
  if (o->key) curl_easy_setopt(easy, CURLOPT_SSLKEY, o->key);
  if (o->user) curl_easy_setopt(easy, CURLOPT_USERPWD, o->user);
}

/* No proxy unless asked for, whatever the environment says. */
static void set_way(CURL *easy, const tiny_fetch_order *o) {
  curl_easy_setopt(easy, CURLOPT_PROXY, o->proxy ? o->proxy : "");
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "tiny/" TINY_VERSION);
  if (o->unix_path) curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, o->unix_path);
  if (o->compressed) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
}

CURLcode settings_apply(CURL *easy, const tiny_fetch_order *o) {
  set_limits(easy, o);
  set_security(easy, o);
  set_way(easy, o);
  set_body(easy, o);
  set_method(easy, o);
  return curl_easy_setopt(easy, CURLOPT_URL, o->url);
}
