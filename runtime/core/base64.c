/* SPDX-License-Identifier: MIT
 * base64.c -- three bytes as four characters. */
#include "base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t tiny_base64_encode(const void *bytes, size_t size, char *text) {
  const unsigned char *from = bytes;
  char *at = text;
  for (; size > 0; from += size < 3 ? size : 3, size -= size < 3 ? size : 3) {
    unsigned char b[3] = {0};
    memcpy(b, from, size < 3 ? size : 3);
    *at++ = digits[b[0] >> 2];
    *at++ = digits[(b[0] & 3) << 4 | b[1] >> 4];
    *at++ = size > 1 ? digits[(b[1] & 15) << 2 | b[2] >> 6] : '=';
    *at++ = size > 2 ? digits[b[2] & 63] : '=';
  }
  *at = 0;
  return (size_t)(at - text);
}

/* A digit's value, or -1. */
static int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many bytes four characters stand for, put to 'out'; 0 when they are none of ours. */
static size_t decode_group(const char *group, unsigned char out[3]) {
  size_t pad = group[3] == '=' ? (group[2] == '=' ? 2 : 1) : 0;
  unsigned long word = 0;
  for (size_t i = 0; i < 4; i++) {
    int value = i < 4 - pad ? value_of(group[i]) : 0;
    if (value < 0) return 0;
    word = word << 6 | (unsigned long)value;
  }
  out[0] = (unsigned char)(word >> 16);
  out[1] = (unsigned char)(word >> 8);
  out[2] = (unsigned char)word;
  return 3 - pad;
}

int tiny_base64_decode(const char *text, size_t length, void *bytes, size_t *size) {
  unsigned char group[3], *to = bytes;
  *size = 0;
  if (length % 4 != 0) return -1;
  for (size_t i = 0; i < length; i += 4) {
    size_t count = decode_group(text + i, group);
    if (count == 0 || (count < 3 && i + 4 < length)) return -1;
    memcpy(to + *size, group, count);
    *size += count;
  }
  return 0;
}
