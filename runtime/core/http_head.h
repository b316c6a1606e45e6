/* SPDX-License-Identifier: MIT
 * http_head.h -- the head of an HTTP/1.x request, read strictly: what two readers could
 * understand in two ways is refused, so that nobody can smuggle one request inside another. */
#ifndef TINY_HTTP_HEAD_H
#define TINY_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TINY_HTTP_FIELDS = 100 };

/* A part of the head: offsets, so that the bytes may move. */
typedef struct tiny_http_span {
  uint32_t at, size;
} tiny_http_span;

typedef struct tiny_http_field {
  tiny_http_span name, value; /* the value without the blanks around it */
} tiny_http_field;

typedef struct tiny_http_head {
  uint32_t size; /* bytes, the empty line at its end included */
  tiny_http_span method;
  tiny_http_span target;      /* as it was sent */
  tiny_http_span path, query; /* of the target, still encoded; the query without its '?' */
  tiny_http_span host;        /* of the Host field */
  int minor;                  /* 0 or 1: of HTTP/1.x */
  bool keep_alive, chunked;
  bool expects_continue; /* the body comes once it is asked for */
  uint64_t length;       /* of the body, 0 for none; means nothing when chunked */
  unsigned count;
  tiny_http_field fields[TINY_HTTP_FIELDS];
} tiny_http_head;

/* How far the end of the head has been looked for; zero it for each request. */
typedef struct tiny_http_scan {
  size_t line, at; /* where the present line begins, and what is looked at next */
} tiny_http_scan;

/* Whether 'data' holds a whole head: its size, or 0 when there is more to come, or minus the
 * status to refuse it with: a line that does not end in CRLF, or 'limit' bytes without an end.
 * Looks at each byte once, however many calls it takes. */
int tiny_http_scan_head(tiny_http_scan *scan, const char *data, size_t size, size_t limit);

/* Read a head of 'size' bytes as the scan found it. Returns 0, or minus the status to refuse it with. */
int tiny_http_read_head(const char *data, size_t size, tiny_http_head *head);

/* The value of a field whose name is 'name' in any case; NULL when there is none. */
const tiny_http_field *tiny_http_find(const tiny_http_head *head, const char *data,
                                      const char *name);

/* Whether 'c' may stand in a token: a method, or the name of a field. */
bool tiny_http_is_token(unsigned char c);

#endif
