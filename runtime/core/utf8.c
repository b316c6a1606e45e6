/* SPDX-License-Identifier: MIT
 * utf8.c -- finding what is not UTF-8. */
#include "utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes a sequence has by its first one; 0: none begins so. */
static size_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

/* Whether the second byte keeps clear of overlong forms, surrogates and what is beyond U+10FFFF. */
static bool fits(unsigned char first, unsigned char second) {
  if (first == 0xE0) return second >= 0xA0;
  if (first == 0xED) return second < 0xA0;
  if (first == 0xF0) return second >= 0x90;
  return first != 0xF4 || second < 0x90;
}

size_t tiny_utf8_length(const char *text, size_t left) {
  const unsigned char *bytes = (const unsigned char *)text;
  size_t length = length_of(bytes[0]);
  if (length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((bytes[i] & 0xC0) != 0x80) return 0;
  return length < 2 || fits(bytes[0], bytes[1]) ? length : 0;
}

void tiny_utf8_mend(char *text, size_t size) {
  for (size_t i = 0; i < size;) {
    size_t length = tiny_utf8_length(text + i, size - i);
    if (length == 0) text[i] = '?';
    i += length ? length : 1;
  }
}

json_t *tiny_utf8_json(const char *text) {
  if (!text) return json_null();
  json_t *json = json_string(text);
  char *copy = json ? NULL : strdup(text);
  if (!copy) return json;
  tiny_utf8_mend(copy, strlen(copy));
  json = json_string(copy);
  free(copy);
  return json;
}
