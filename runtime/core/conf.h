/* SPDX-License-Identifier: MIT
 * conf.h -- one generation's configuration as C sees it: what conf.lua returned,
 * checked and with the defaults filled in (lua/tiny/conf.lua does both).
 *
 * Immutable once made and counted by reference, so every thread may read it. */
#ifndef TINY_CONF_H
#define TINY_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tiny_conf tiny_conf;

/* Take a copy of a checked configuration: 'keys' is a JSON object of flat dotted
 * keys (its reference is taken over), 'path' is conf.lua's own path.
 * Returns NULL when out of memory. Starts with one reference. */
tiny_conf *tiny_conf_new(json_t *keys, const char *path);

/* What of etcd is in it, as shared_conf.h has it (its reference is taken over; NULL: nothing of that).
 * Set before any other thread sees it. */
void tiny_conf_share(tiny_conf *conf, json_t *shared);
const json_t *tiny_conf_shared(const tiny_conf *conf);

tiny_conf *tiny_conf_hold(tiny_conf *conf); /* returns conf; NULL is allowed */
void tiny_conf_drop(tiny_conf *conf);       /* NULL is allowed */

/* Values by key. A key that is missing, null or of another type reads as
 * NULL, 0 or false. Strings and JSON are owned by the conf. */
const char *tiny_conf_string(const tiny_conf *conf, const char *key);
double tiny_conf_number(const tiny_conf *conf, const char *key);
bool tiny_conf_bool(const tiny_conf *conf, const char *key);
const json_t *tiny_conf_json(const tiny_conf *conf, const char *key);

/* Whether a key is the same in both: missing in both, or equal. */
bool tiny_conf_same(const tiny_conf *one, const tiny_conf *other, const char *key);

/* Seconds of a key as milliseconds and nanoseconds, rounded up (so that only 0 is 0) and
 * saturated; what is negative or no number reads as 0. */
uint64_t tiny_conf_ms(const tiny_conf *conf, const char *key);
uint64_t tiny_conf_ns(const tiny_conf *conf, const char *key);

/* Absolute path of a key's file, relative ones being relative to conf.lua.
 * The caller frees it. NULL when the key holds no text or out of memory. */
char *tiny_conf_path(const tiny_conf *conf, const char *key);

/* The same of a path that stands elsewhere in it. The caller frees it; NULL when out of memory. */
char *tiny_conf_absolute(const tiny_conf *conf, const char *path);

/* Absolute path of conf.lua itself and of its folder; owned by the conf. */
const char *tiny_conf_file(const tiny_conf *conf);
const char *tiny_conf_dir(const tiny_conf *conf);

/* The whole configuration with every secret shown as "***" and with every
 * string made valid UTF-8, so that it can be shown anywhere. Owned by the conf. */
const json_t *tiny_conf_masked(const tiny_conf *conf);

#endif
