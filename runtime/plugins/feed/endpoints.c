/* SPDX-License-Identifier: MIT
 * endpoints.c -- binding, and binding again. */
#include "endpoints.h"

#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { URI = 512, FIRST_RETRY_MS = 100, LAST_RETRY_MS = 5000 };

struct tiny_endpoint {
  tiny_endpoint *next;
  char *uri;
  char bound[URI]; /* as the socket calls it, "" while it does not listen there */
};

static void say(tiny_endpoints *endpoints, tiny_level level, const char *what, const char *uri,
                const char *more) {
  char text[2 * URI];
  snprintf(text, sizeof text, "monitor: %s %s%s", what, uri, more);
  endpoints->parts->say(endpoints->parts->data, level, text);
}

/* The path of an endpoint that is a file, else NULL: "*" and "@name" are libzmq's own. */
static const char *path_of(const char *uri) {
  const char *path = uri + strlen("ipc://");
  bool is_file = strncmp(uri, "ipc://", strlen("ipc://")) == 0 && *path != '*' && *path != '@';
  return is_file ? path : NULL;
}

static void set_option(void *zmq, int option, int value) {
  zmq_setsockopt(zmq, option, &value, sizeof value);
}

/* libzmq has the fd once it is bound, and closes it. */
static int bind_file(void *zmq, const tiny_endpoint *endpoint) {
  int fd = tiny_listener_open(path_of(endpoint->uri));
  if (fd < 0) return -fd;
  set_option(zmq, ZMQ_USE_FD, fd);
  int error = zmq_bind(zmq, endpoint->uri) == 0 ? 0 : zmq_errno();
  set_option(zmq, ZMQ_USE_FD, -1);
  if (error != 0) {
    close(fd);
    unlink(path_of(endpoint->uri));
  }
  return error;
}

/* An IPv6 socket shows IPv4 addresses in a form of its own: only where it was asked for. */
static int bind_other(void *zmq, const tiny_endpoint *endpoint) {
  set_option(zmq, ZMQ_IPV6, strncmp(endpoint->uri, "tcp://[", strlen("tcp://[")) == 0);
  return zmq_bind(zmq, endpoint->uri) == 0 ? 0 : zmq_errno();
}

/* Returns 0 or an errno. */
static int bind_one(tiny_endpoints *endpoints, tiny_endpoint *endpoint) {
  size_t size = sizeof endpoint->bound;
  int error = path_of(endpoint->uri) ? bind_file(endpoints->zmq, endpoint)
                                     : bind_other(endpoints->zmq, endpoint);
  if (error != 0) return error;
  if (zmq_getsockopt(endpoints->zmq, ZMQ_LAST_ENDPOINT, endpoint->bound, &size) != 0)
    snprintf(endpoint->bound, sizeof endpoint->bound, "%s", endpoint->uri);
  say(endpoints, TINY_INFO, "publishing on", endpoint->bound, "");
  return 0;
}

static void unbind_one(tiny_endpoints *endpoints, tiny_endpoint *endpoint) {
  if (!endpoint->bound[0]) return;
  zmq_unbind(endpoints->zmq, endpoint->bound);
  if (path_of(endpoint->uri)) unlink(path_of(endpoint->uri));
}

static void warn(tiny_endpoints *endpoints, const tiny_endpoint *endpoint, int error) {
  char more[128];
  snprintf(more, sizeof more, ": %s; tried again until it can be had", zmq_strerror(error));
  say(endpoints, TINY_WARN, "cannot publish on", endpoint->uri, more);
}

static void on_retry(uv_timer_t *timer);

/* Try those that are not bound; go on trying while one is not. */
static void bind_all(tiny_endpoints *endpoints) {
  bool left = false;
  bool first = endpoints->pause_ms == FIRST_RETRY_MS;
  for (tiny_endpoint *at = endpoints->first; at; at = at->next) {
    int error = at->bound[0] ? 0 : bind_one(endpoints, at);
    if (error == 0) continue;
    left = true;
    if (first) warn(endpoints, at, error);
  }
  if (left) uv_timer_start(&endpoints->retry, on_retry, endpoints->pause_ms, 0);
  endpoints->pause_ms *= 2;
  if (endpoints->pause_ms > LAST_RETRY_MS) endpoints->pause_ms = LAST_RETRY_MS;
}

static void on_retry(uv_timer_t *timer) { bind_all(timer->data); }

static bool names(const json_t *uris, const char *uri) {
  for (size_t i = 0; i < json_array_size(uris); i++)
    if (strcmp(json_string_value(json_array_get(uris, i)), uri) == 0) return true;
  return false;
}

/* Leave those that 'uris' does not name. */
static void leave_others(tiny_endpoints *endpoints, const json_t *uris) {
  for (tiny_endpoint **at = &endpoints->first; *at;) {
    tiny_endpoint *endpoint = *at;
    if (names(uris, endpoint->uri)) {
      at = &endpoint->next;
      continue;
    }
    *at = endpoint->next;
    unbind_one(endpoints, endpoint);
    free(endpoint->uri);
    free(endpoint);
  }
}

static void add(tiny_endpoints *endpoints, const char *uri) {
  tiny_endpoint **at = &endpoints->first;
  for (; *at; at = &(*at)->next)
    if (strcmp((*at)->uri, uri) == 0) return;
  tiny_endpoint *endpoint = calloc(1, sizeof *endpoint);
  char *copy = strdup(uri);
  if (endpoint && copy) {
    endpoint->uri = copy;
    *at = endpoint;
  } else {
    free(endpoint);
    free(copy);
  }
}

void tiny_endpoints_open(tiny_endpoints *endpoints, const tiny_publisher_parts *parts, void *zmq) {
  *endpoints = (tiny_endpoints){.parts = parts, .zmq = zmq};
  uv_timer_init(parts->loop, &endpoints->retry);
  endpoints->retry.data = endpoints;
}

void tiny_endpoints_set(tiny_endpoints *endpoints, const json_t *uris) {
  leave_others(endpoints, uris);
  for (size_t i = 0; i < json_array_size(uris); i++)
    add(endpoints, json_string_value(json_array_get(uris, i)));
  endpoints->pause_ms = FIRST_RETRY_MS;
  uv_timer_stop(&endpoints->retry);
  bind_all(endpoints);
}

void tiny_endpoints_close(tiny_endpoints *endpoints, uv_close_cb closed) {
  leave_others(endpoints, NULL);
  uv_close((uv_handle_t *)&endpoints->retry, closed);
}
