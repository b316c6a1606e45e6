/* SPDX-License-Identifier: MIT
 * mask.h -- a configuration made fit to be shown. */
#ifndef TINY_MASK_H
#define TINY_MASK_H

#include <jansson.h>
#include <stdbool.h>

/* A deep copy of an object of flat dotted keys in which secrets read "***": the values of keys
 * that speak of passwords, secrets, tokens or keys at any depth, what follows the address in
 * log.email.config.from, and passwords inside URLs. All strings and keys are valid UTF-8.
 * A new reference; NULL when out of memory. */
json_t *tiny_mask(const json_t *keys);

/* Whether what a key of this name holds is a secret: "api_key", "db.password", "authToken"
 * are; "public_key", "monkey" are not. */
bool tiny_mask_is_secret(const char *key, size_t size);

#endif
