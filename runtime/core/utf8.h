/* SPDX-License-Identifier: MIT
 * utf8.h -- text of unknown origin made fit for JSON. */
#ifndef TINY_UTF8_H
#define TINY_UTF8_H

#include <jansson.h>
#include <stddef.h>

/* How many bytes the valid sequence at 'text' has, of which 'left' (at least 1) may be
 * looked at; 0 when there is none. */
size_t tiny_utf8_length(const char *text, size_t left);

/* Replace each byte that is no part of valid UTF-8 by '?', in place. */
void tiny_utf8_mend(char *text, size_t size);

/* A JSON string of 'text' as tiny_utf8_mend() leaves it, JSON null for NULL. A new
 * reference; NULL when out of memory. */
json_t *tiny_utf8_json(const char *text);

#endif
