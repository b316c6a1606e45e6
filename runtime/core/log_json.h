/* SPDX-License-Identifier: MIT
 * log_json.h -- a line as one JSON object. The functions that write may be called
 * in a signal handler and never reach 'end'. */
#ifndef TINY_LOG_JSON_H
#define TINY_LOG_JSON_H

#include "log_format.h"

/* The members that are the same in each line, name and pid, to be made once. */
size_t tiny_json_who_most(tiny_span name);
char *tiny_json_who(char *at, char *end, tiny_span name, tiny_span pid);

/* Write the object: time, level, name, pid, file, line, msg and the line's own fields. */
char *tiny_json_write(const char *who, size_t who_size, const tiny_clock *clock,
                      const tiny_line *line, char *at, char *end);

#endif
