/* SPDX-License-Identifier: MIT
 * asked_etcd.h -- an etcd that a test answers for: what it is asked last is kept until then. */
#ifndef TINY_ASKED_ETCD_H
#define TINY_ASKED_ETCD_H

#include "etcd.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tiny_etcd_call {
  tiny_etcd_ask ask;
  char path[32];
};

static tiny_etcd_call *last; /* NULL: nothing is asked */
static int asks, opened;

static tiny_etcd *open_etcd(uv_loop_t *where, const tiny_etcd_settings *settings) {
  (void)where, (void)settings;
  opened++;
  return (tiny_etcd *)&opened;
}

static void close_etcd(tiny_etcd *etcd) {
  (void)etcd;
  opened--;
}

static void forget(tiny_etcd_call *call) {
  json_decref(call->ask.body);
  if (last == call) last = NULL;
  free(call);
}

static tiny_etcd_call *ask(tiny_etcd *etcd, const tiny_etcd_ask *request) {
  (void)etcd;
  last = calloc(1, sizeof *last);
  last->ask = *request;
  snprintf(last->path, sizeof last->path, "%s", request->path);
  asks++;
  return last;
}

static const tiny_etcd_plugin plugin = {open_etcd, close_etcd, ask, forget};

static void answer(json_t *line, int code) {
  tiny_etcd_ask request = last->ask;
  json_incref(request.body);
  if (line) request.line(request.data, line);
  json_decref(line);
  forget(last);
  json_decref(request.body);
  request.end(request.data, code, code ? "no" : "");
}

/* A text in what was asked last, by the path to it: "compare.0.key". */
static inline const char *asked(const char *path) {
  char copy[128], *step, *rest = copy;
  const json_t *at = last->ask.body;
  snprintf(copy, sizeof copy, "%s", path);
  while ((step = strsep(&rest, ".")))
    at =
        json_is_array(at) ? json_array_get(at, strtoul(step, NULL, 10)) : json_object_get(at, step);
  return json_string_value(at) ? json_string_value(at) : "(none)";
}

#endif
