/* SPDX-License-Identifier: MIT
 * store.c -- texts by key, in the C library's own tree. */
#include "store.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
  char *key, *value;
} pair;

struct store {
  void *root;
  size_t count;
};

static int compare(const void *a, const void *b) {
  return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static void free_pair(void *data) {
  pair *e = data;
  free(e->key);
  free(e->value);
  free(e);
}

store *store_new(void) { return calloc(1, sizeof(store)); }

void store_free(store *s) {
  tdestroy(s->root, free_pair);
  free(s);
}

static pair *find(const store *s, const char *key) {
  pair wanted = {(char *)key, NULL};
  pair *const *found = tfind(&wanted, &s->root, compare);
  return found ? *found : NULL;
}

const char *store_get(const store *s, const char *key) {
  pair *e = find(s, key);
  return e ? e->value : NULL;
}

static int add(store *s, const char *key) {
  pair *e = calloc(1, sizeof *e);
  if (e) e->key = strdup(key);
  if (e && e->key && tsearch(e, &s->root, compare)) {
    s->count++;
    return 0;
  }
  if (e) free_pair(e);
  return -1;
}

static void drop(store *s, pair *e) {
  tdelete(e, &s->root, compare);
  s->count--;
  free_pair(e);
}

int store_set(store *s, const char *key, const char *value) {
  pair *e = find(s, key);
  if (!value) {
    if (e) drop(s, e);
    return 0;
  }
  char *copy = strdup(value);
  if (!copy || (!e && add(s, key) != 0)) {
    free(copy);
    return -1;
  }
  e = find(s, key);
  free(e->value);
  e->value = copy;
  return 0;
}

size_t store_count(const store *s) { return s->count; }
