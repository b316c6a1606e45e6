/* SPDX-License-Identifier: MIT
 * log_format.h -- how a sink writes a line: Python's "%(levelname)-5s %(message)s",
 * or one JSON object. Compiled once, then only copied from. */
#ifndef TINY_LOG_FORMAT_H
#define TINY_LOG_FORMAT_H

#include "log.h"
#include "log_clock.h"

#define TINY_FORMAT_DEFAULT                                                                        \
  "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s "

typedef struct tiny_span {
  const char *text;
  size_t size;
} tiny_span;

/* A line as the log thread sees it; the spans may hold any bytes. */
typedef struct tiny_line {
  tiny_level level;
  uint64_t time_ns; /* since 1970 */
  uint32_t number;  /* of the source line, 0 where unknown */
  tiny_span text, file, func, thread;
  tiny_span fields; /* a JSON object, or empty */
} tiny_line;

typedef struct tiny_format tiny_format;

/* What a line must carry for a format, ORed. */
enum { TINY_WANTS_WHERE = 1, TINY_WANTS_FUNC = 2, TINY_WANTS_THREAD = 4 };

/* Compile 'spec' ("json" or fields) for a server's name and process id. Returns
 * NULL with the reason in 'why'. Immutable: any thread. Free with tiny_format_free(). */
tiny_format *tiny_format_new(const char *spec, const char *name, long pid, char *why,
                             size_t why_size);
void tiny_format_free(tiny_format *format); /* NULL is allowed */

unsigned tiny_format_wants(const tiny_format *format);

/* How many bytes a line takes at most. */
size_t tiny_format_most(const tiny_format *format, const tiny_line *line);

/* Write the line, without a newline at its end, at 'at' and never to 'end'. Returns
 * where it stopped. May be called in a signal handler when the clock is frozen. */
char *tiny_format_write(const tiny_format *format, tiny_clock *clock, const tiny_line *line,
                        char *at, char *end);

#endif
