/* SPDX-License-Identifier: MIT
 * http_reply.h -- the bytes of an HTTP/1.x answer's head. */
#ifndef TINY_HTTP_REPLY_H
#define TINY_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { TINY_HTTP_TIME = 40 }; /* room for a time */

/* The text of a Date field, made anew when the second changes. Zero it first. */
typedef struct tiny_http_date {
  time_t second;
  char text[TINY_HTTP_TIME];
} tiny_http_date;

/* How the end of the body is told. */
typedef enum tiny_http_frame {
  TINY_FRAME_NONE,   /* the status says that there is no body */
  TINY_FRAME_LENGTH, /* Content-Length */
  TINY_FRAME_CHUNKED,
  TINY_FRAME_CLOSE /* by the end of the connection: for HTTP/1.0 */
} tiny_http_frame;

typedef struct tiny_http_reply {
  int status;
  const char *fields; /* whole lines, each with its CRLF, checked by tiny_http_put_field() */
  size_t fields_size;
  tiny_http_frame frame;
  uint64_t length;
  bool close;      /* the connection ends with it */
  bool keep_alive; /* say that it does not: HTTP/1.0 has to be told */
} tiny_http_reply;

/* Bytes of the head beside its fields, at most. */
enum { TINY_HTTP_REPLY_ROOM = 256 };

/* Write the head into 'out', which has room. Returns its size. */
size_t tiny_http_write_head(char *out, const tiny_http_reply *reply, tiny_http_date *date);

/* Append "name: value" to 'out' at 'used'. Returns what is used then; 0 when name or value hold what cannot
 * stand there (line ends above all), or when the room is not enough. */
size_t tiny_http_put_field(char *out, size_t room, size_t used, const char *name, size_t name_size,
                           const char *value, size_t value_size);

/* Whether an answer of that status has no body. */
bool tiny_http_is_bare(int status);

const char *tiny_http_reason(int status);

/* 'when' as HTTP writes it: "Sun, 06 Nov 1994 08:49:37 GMT". */
void tiny_http_format_time(time_t when, char text[TINY_HTTP_TIME]);

#endif
