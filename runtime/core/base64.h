/* SPDX-License-Identifier: MIT
 * base64.h -- bytes as text and back (RFC 4648, with padding). */
#ifndef TINY_BASE64_H
#define TINY_BASE64_H

#include <stddef.h>

/* Write the text of 'size' bytes and a final 0 to 'text', which has room for
 * TINY_BASE64_ROOM(size). Returns its length. */
#define TINY_BASE64_ROOM(size) (((size) + 2) / 3 * 4 + 1)
size_t tiny_base64_encode(const void *bytes, size_t size, char *text);

/* Write the bytes of 'length' characters to 'bytes', which has room for length / 4 * 3. It may be
 * the text itself. Returns 0 and their number in 'size', or -1 when it is no such text. */
int tiny_base64_decode(const char *text, size_t length, void *bytes, size_t *size);

#endif
