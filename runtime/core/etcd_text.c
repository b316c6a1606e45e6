/* SPDX-License-Identifier: MIT
 * etcd_text.c -- base64 in JSON. */
#include "etcd_text.h"

#include "base64.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *encoded(const char *bytes, size_t size) {
  char *text = malloc(TINY_BASE64_ROOM(size));
  if (text) tiny_base64_encode(bytes, size, text);
  return text;
}

char *tiny_etcd_key(const char *format, ...) {
  char *plain;
  va_list arguments;
  va_start(arguments, format);
  int size = vasprintf(&plain, format, arguments);
  va_end(arguments);
  if (size < 0) return NULL;
  char *key = encoded(plain, (size_t)size);
  free(plain);
  return key;
}

/* A prefix ends with "/", so there is a byte that follows. */
char *tiny_etcd_end(const char *prefix) {
  size_t size = strlen(prefix);
  char *end = strdup(prefix);
  if (!end) return NULL;
  end[size - 1]++;
  char *key = encoded(end, size);
  free(end);
  return key;
}

const char *tiny_etcd_text(const json_t *object, const char *field) {
  const char *text = json_string_value(json_object_get(object, field));
  return text ? text : "";
}

uint64_t tiny_etcd_number(const json_t *object, const char *field) {
  return strtoull(tiny_etcd_text(object, field), NULL, 10);
}

char *tiny_etcd_bytes(const json_t *text, size_t *size) {
  size_t length = json_string_length(text);
  char *bytes = malloc(length + 1);
  *size = 0;
  if (bytes && tiny_base64_decode(text ? json_string_value(text) : "", length, bytes, size) == 0) {
    bytes[*size] = 0;
    return bytes;
  }
  free(bytes);
  return NULL;
}

json_t *tiny_etcd_put(const char *key, json_t *value, const char *lease) {
  char *plain = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
  char *text = plain ? encoded(plain, strlen(plain)) : NULL;
  json_t *put = json_pack("{s:s,s:s,s:s}", "key", key, "value", text ? text : "", "lease", lease);
  json_decref(value);
  free(text);
  free(plain);
  return put;
}

json_t *tiny_etcd_range(const char *first, const char *end) {
  return json_pack("{s:s,s:s}", "key", first, "range_end", end);
}

json_t *tiny_etcd_watch(const char *first, const char *end, uint64_t revision) {
  char from[24];
  snprintf(from, sizeof from, "%llu", (unsigned long long)revision);
  return json_pack("{s:{s:s,s:s,s:s}}", "create_request", "key", first, "range_end", end,
                   "start_revision", from);
}

json_t *tiny_etcd_compare(const char *key, const char *target, const char *field,
                          uint64_t revision) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
  return json_pack("{s:s,s:s,s:s,s:s}", "key", key, "target", target, "result", "EQUAL", field,
                   text);
}

const json_t *tiny_etcd_found(const json_t *answer, size_t n) {
  const json_t *response = json_array_get(json_object_get(answer, "responses"), n);
  const json_t *range = json_object_get(response, "response_range");
  return json_array_get(json_object_get(range, "kvs"), 0);
}
