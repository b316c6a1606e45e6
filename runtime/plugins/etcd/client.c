/* SPDX-License-Identifier: MIT
 * client.c -- calls to whichever endpoint answers, with a login where one is asked for.
 *
 * HTTP/1.1 on purpose: a call that times out takes its connection with it, so that a half-open
 * path is left at once. */
#include "etcd.h"
#include "multi.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 16 << 20 }; /* bytes of an answer: etcd's own limit is far below */

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

/* -- the life of a call ---------------------------------------------------- */

static void stop(tiny_etcd_call *call) {
  if (call->easy) {
    curl_multi_remove_handle(multi_handle(call->etcd->multi), call->easy);
    curl_easy_cleanup(call->easy);
  }
  curl_slist_free_all(call->headers);
  free(call->token);
  call->easy = NULL;
  call->headers = NULL;
  call->token = NULL;
  call->used = 0;
}

static void unlist(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  if (call->prev)
    call->prev->next = call->next;
  else
    e->calls = call->next;
  if (call->next) call->next->prev = call->prev;
  if (e->login == call) e->login = NULL;
}

static void free_call(tiny_etcd_call *call) {
  stop(call);
  free(call->path);
  free(call->body);
  free(call->bytes);
  free(call);
}

static void cancel(tiny_etcd_call *call) {
  if (call->ended) return;
  call->ended = true;
  unlist(call);
  stop(call);
  if (!call->busy) free_call(call);
}

/* The last that its owner hears of it. */
static void finish(tiny_etcd_call *call, int code, const char *message) {
  tiny_etcd_ask ask = call->ask;
  char text[256];
  snprintf(text, sizeof text, "%s", message);
  call->ended = true;
  unlist(call);
  free_call(call);
  ask.end(ask.data, code, text);
}

/* -- answers --------------------------------------------------------------- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *data) {
  tiny_etcd_call *call = data;
  size_t more = size * count;
  if (call->used + more > LARGEST) return 0;
  if (call->used + more > call->room) {
    size_t room = 2 * (call->used + more);
    char *grown = realloc(call->bytes, room);
    if (!grown) return 0;
    call->bytes = grown;
    call->room = room;
  }
  memcpy(call->bytes + call->used, bytes, more);
  call->used += more;
  call->fresh = call->answered = true;
  return more;
}

static long status_of(const tiny_etcd_call *call) {
  long status = 0;
  if (call->easy) curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/* Returns false when the call is over. */
static bool give_line(tiny_etcd_call *call, const char *line, size_t size) {
  json_t *json = json_loadb(line, size, 0, NULL);
  if (!json) return true; /* an empty line, or nothing of etcd's */
  call->busy = true;
  if (call->ask.line) call->ask.line(call->ask.data, json);
  call->busy = false;
  json_decref(json);
  if (!call->ended) return true;
  free_call(call);
  return false;
}

/* Whole lines; at the end, 'all', the rest too. Returns false when the call is over. */
static bool give_lines(tiny_etcd_call *call, bool all) {
  size_t from = 0;
  call->fresh = false;
  while (from < call->used) {
    const char *line = call->bytes + from, *end = memchr(line, '\n', call->used - from);
    if (!end && !all) break;
    size_t size = end ? (size_t)(end - line) : call->used - from;
    from += end ? size + 1 : size;
    if (!give_line(call, line, size)) return false;
  }
  memmove(call->bytes, call->bytes + from, call->used - from);
  call->used -= from;
  return true;
}

static tiny_etcd_call *find_fresh(tiny_etcd *e) {
  tiny_etcd_call *call = e->calls;
  while (call && !(call->fresh && status_of(call) < 400)) call = call->next;
  return call;
}

static void on_turned(void *data) {
  for (tiny_etcd_call *call; (call = find_fresh(data));) give_lines(call, false);
}

/* -- sending --------------------------------------------------------------- */

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
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a dead name server */
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->etcd->connect_ms);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->ask.timeout_ms);
}

/* Returns 0, or -1 when out of memory. */
static int send_call(tiny_etcd_call *call) {
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

static tiny_etcd_call *new_call(tiny_etcd *e, const tiny_etcd_ask *ask) {
  tiny_etcd_call *call = calloc(1, sizeof *call);
  char *body = json_dumps(ask->body, JSON_COMPACT);
  json_decref(ask->body);
  if (call) call->path = strdup(ask->path);
  if (!call || !call->path || !body) {
    if (call) free(call->path);
    free(call);
    free(body);
    return NULL;
  }
  call->etcd = e;
  call->ask = *ask;
  call->body = body;
  call->next = e->calls;
  if (e->calls) e->calls->prev = call;
  e->calls = call;
  return call;
}

/* -- logging in ------------------------------------------------------------ */

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
    if (!e->token || send_call(call) != 0)
      finish(call, code ? code : TINY_ETCD_UNAUTHENTICATED, code ? message : "no login was given");
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
  e->login = new_call(e, &ask);
  if (e->login && send_call(e->login) == 0) return 0;
  if (e->login) cancel(e->login);
  return -1;
}

static int begin(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  return e->user && !e->token ? log_in(e, call->ask.timeout_ms) : send_call(call);
}

/* A login may have expired, or be that of another's restart. Returns whether it is tried again. */
static bool try_again(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  if (!e->user || call == e->login || call->retried) return false;
  if (e->token && call->token && strcmp(e->token, call->token) == 0) {
    free(e->token);
    e->token = NULL;
  }
  call->retried = true;
  stop(call);
  return begin(call) == 0;
}

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
  if (code == TINY_ETCD_UNAUTHENTICATED && try_again(call)) return;
  if (status >= 500) leave_endpoint(call);
  finish(call, code, text);
}

/* A watch whose time is up was answered all along. */
static void end_failed(tiny_etcd_call *call, CURLcode failure) {
  char text[300];
  bool patient = failure == CURLE_OPERATION_TIMEDOUT && call->answered;
  const tiny_etcd *e = call->etcd;
  snprintf(text, sizeof text, "%.150s: %s", e->endpoints[call->endpoint],
           curl_easy_strerror(failure));
  if (!patient) leave_endpoint(call);
  finish(call, TINY_ETCD_NO_ANSWER, text);
}

static void on_done(void *data, CURL *easy, CURLcode code) {
  (void)data;
  tiny_etcd_call *call;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
  long status = status_of(call);
  if (code != CURLE_OK)
    end_failed(call, code);
  else if (status >= 400)
    end_refused(call, status);
  else if (give_lines(call, true))
    finish(call, TINY_ETCD_OK, "");
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
  while (e->calls) cancel(e->calls);
  multi_close(e->multi);
  free_client(e);
}

static tiny_etcd_call *ask_etcd(tiny_etcd *e, const tiny_etcd_ask *ask) {
  tiny_etcd_call *call = new_call(e, ask);
  if (!call || begin(call) == 0) return call;
  cancel(call);
  return NULL;
}

extern const tiny_etcd_plugin tiny_etcd_plugin_table;
__attribute__((visibility("default")))
const tiny_etcd_plugin tiny_etcd_plugin_table = {open_client, close_client, ask_etcd, cancel};
