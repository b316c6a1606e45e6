/* SPDX-License-Identifier: MIT
 * etcd_text.h -- JSON as etcd's gateway has it: keys and values in base64, 64-bit numbers as text, and
 * whatever is 0, false or empty left out. Any thread. */
#ifndef TINY_ETCD_TEXT_H
#define TINY_ETCD_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A key in base64, made as by printf, for free(); NULL when out of memory. */
char *tiny_etcd_key(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The key behind all that begin with 'prefix', in base64, for free(); NULL when out of memory. */
char *tiny_etcd_end(const char *prefix);

/* A text; "" where there is none. */
const char *tiny_etcd_text(const json_t *object, const char *field);

/* A number that is text; 0 where there is none. */
uint64_t tiny_etcd_number(const json_t *object, const char *field);

/* The bytes of a key or value, with a 0 behind them, for free(). NULL when out of memory, or when it is
 * no base64. */
char *tiny_etcd_bytes(const json_t *text, size_t *size);

/* Requests and parts of them; each a new reference, keys are in base64. A put's value is 'value' as
 * text, which is taken over; 'lease' may be "". A comparison is of a "CREATE" or "MOD" revision
 * ('field' is what etcd calls it then). */
json_t *tiny_etcd_put(const char *key, json_t *value, const char *lease);
json_t *tiny_etcd_range(const char *first, const char *end);
json_t *tiny_etcd_watch(const char *first, const char *end, uint64_t revision);
json_t *tiny_etcd_compare(const char *key, const char *target, const char *field,
                          uint64_t revision);

/* The key-value that the n-th request of a transaction has found; NULL where there is none. */
const json_t *tiny_etcd_found(const json_t *answer, size_t n);

#endif
