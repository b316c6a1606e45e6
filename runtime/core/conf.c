/* SPDX-License-Identifier: MIT
 * conf.c -- a generation's configuration, immutable and counted. */
#include "conf.h"
#include "mask.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tiny_conf {
  atomic_int refs;
  json_t *keys, *masked, *shared;
  char *file, *dir; /* absolute */
};

/* 'dir' and 'path' joined; a path that is absolute stays as it is, "." is the folder itself. */
static char *join(const char *dir, const char *path) {
  char *joined = NULL;
  if (path[0] == '/') return strdup(path);
  if (strcmp(path, ".") == 0) return strdup(dir);
  if (path[0] == '.' && path[1] == '/') path += 2;
  return asprintf(&joined, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, path) < 0 ? NULL : joined;
}

static char *absolute(const char *path) {
  char here[PATH_MAX];
  if (path[0] == '/') return strdup(path);
  return getcwd(here, sizeof here) ? join(here, path) : NULL;
}

static char *folder_of(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

static void destroy(tiny_conf *conf) {
  json_decref(conf->keys);
  json_decref(conf->masked);
  json_decref(conf->shared);
  free(conf->file);
  free(conf->dir);
  free(conf);
}

tiny_conf *tiny_conf_new(json_t *keys, const char *path) {
  tiny_conf *conf = calloc(1, sizeof *conf);
  if (!conf) {
    json_decref(keys);
    return NULL;
  }
  atomic_init(&conf->refs, 1);
  conf->keys = keys;
  conf->masked = tiny_mask(keys);
  conf->file = absolute(path);
  if (conf->file) conf->dir = folder_of(conf->file);
  if (conf->keys && conf->masked && conf->dir) return conf;
  destroy(conf);
  return NULL;
}

void tiny_conf_share(tiny_conf *conf, json_t *shared) {
  json_decref(conf->shared);
  conf->shared = shared;
}

const json_t *tiny_conf_shared(const tiny_conf *conf) { return conf->shared; }

tiny_conf *tiny_conf_hold(tiny_conf *conf) {
  if (conf) atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);
  return conf;
}

void tiny_conf_drop(tiny_conf *conf) {
  if (conf && atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel) == 1) destroy(conf);
}

const json_t *tiny_conf_json(const tiny_conf *conf, const char *key) {
  const json_t *value = json_object_get(conf->keys, key);
  return json_is_null(value) ? NULL : value;
}

const char *tiny_conf_string(const tiny_conf *conf, const char *key) {
  return json_string_value(tiny_conf_json(conf, key));
}

double tiny_conf_number(const tiny_conf *conf, const char *key) {
  return json_number_value(tiny_conf_json(conf, key));
}

bool tiny_conf_bool(const tiny_conf *conf, const char *key) {
  return json_is_true(tiny_conf_json(conf, key));
}

bool tiny_conf_same(const tiny_conf *one, const tiny_conf *other, const char *key) {
  const json_t *a = tiny_conf_json(one, key), *b = tiny_conf_json(other, key);
  return a == b || json_equal(a, b);
}

/* The comparison is false for NaN too. A product such as 0.057 * 1e3 may miss its whole
 * number by a hair: that is no reason to round up. */
static uint64_t seconds_in(double seconds, double units) {
  double scaled = seconds * units;
  if (!(scaled > 0)) return 0;
  if (scaled >= 0x1p64) return UINT64_MAX;
  double near = nearbyint(scaled);
  return (uint64_t)(near > 0 && fabs(scaled - near) < 1e-9 * near ? near : ceil(scaled));
}

uint64_t tiny_conf_ms(const tiny_conf *conf, const char *key) {
  return seconds_in(tiny_conf_number(conf, key), 1e3);
}

uint64_t tiny_conf_ns(const tiny_conf *conf, const char *key) {
  return seconds_in(tiny_conf_number(conf, key), 1e9);
}

char *tiny_conf_absolute(const tiny_conf *conf, const char *path) { return join(conf->dir, path); }

char *tiny_conf_path(const tiny_conf *conf, const char *key) {
  const char *path = tiny_conf_string(conf, key);
  return path ? tiny_conf_absolute(conf, path) : NULL;
}

const char *tiny_conf_file(const tiny_conf *conf) { return conf->file; }
const char *tiny_conf_dir(const tiny_conf *conf) { return conf->dir; }
const json_t *tiny_conf_masked(const tiny_conf *conf) { return conf->masked; }
