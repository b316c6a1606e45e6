/* SPDX-License-Identifier: MIT
 * store.h -- the program's own part: texts by key. One thread only. */
#ifndef STORE_H
#define STORE_H

#include <stddef.h>

typedef struct store store;

store *store_new(void); /* NULL when out of memory */
void store_free(store *s);

/* The value of a key, which lives until the key is changed; NULL when there is none. */
const char *store_get(const store *s, const char *key);

/* A NULL value takes the key away. Returns 0, or -1 when out of memory. */
int store_set(store *s, const char *key, const char *value);

size_t store_count(const store *s);

#endif
