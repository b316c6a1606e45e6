/* SPDX-License-Identifier: MIT
 * log_json.c -- a line as one JSON object. */
#include "log_json.h"
#include "log_text.h"

#include <stdlib.h>
#include <string.h>

static char *put(char *at, char *end, const char *text) {
  return tiny_text_raw(at, end, text, strlen(text));
}

size_t tiny_json_who_most(tiny_span name) { return tiny_text_most(name.size) + 64; }

char *tiny_json_who(char *at, char *end, tiny_span name, tiny_span pid) {
  at = put(at, end, "\"name\":\"");
  at = tiny_text_json(at, end, name.text, name.size);
  at = put(at, end, "\",\"pid\":");
  return tiny_text_raw(at, end, pid.text, pid.size);
}

/* As RFC 3339 has it: 2024-05-31T23:59:59.123456+02:00 */
static char *write_time(const tiny_clock *clock, uint64_t time_ns, char *at, char *end) {
  unsigned east = (unsigned)abs(clock->offset) / 60;
  at = tiny_text_raw(at, end, clock->date, 10);
  at = put(at, end, "T");
  at = tiny_text_raw(at, end, clock->time, 8);
  at = put(at, end, ".");
  at = tiny_text_number(at, end, time_ns / 1000 % 1000000, 6);
  at = put(at, end, clock->offset < 0 ? "-" : "+");
  at = tiny_text_number(at, end, east / 60, 2);
  at = put(at, end, ":");
  return tiny_text_number(at, end, east % 60, 2);
}

/* The members of an object as further members of ours. */
static char *write_fields(const tiny_line *line, char *at, char *end) {
  const char *text = line->fields.text;
  size_t size = line->fields.size;
  if (size < 3 || text[0] != '{' || text[size - 1] != '}') return at;
  at = put(at, end, ",");
  return tiny_text_mended(at, end, text + 1, size - 2);
}

char *tiny_json_write(const char *who, size_t who_size, const tiny_clock *clock,
                      const tiny_line *line, char *at, char *end) {
  at = put(at, end, "{\"time\":\"");
  at = write_time(clock, line->time_ns, at, end);
  at = put(at, end, "\",\"level\":\"");
  at = put(at, end, tiny_level_name(line->level));
  at = put(at, end, "\",");
  at = tiny_text_raw(at, end, who, who_size);
  at = put(at, end, ",\"file\":\"");
  at = tiny_text_json(at, end, line->file.text, line->file.size);
  at = put(at, end, "\",\"line\":");
  at = tiny_text_number(at, end, line->number, 1);
  at = put(at, end, ",\"msg\":\"");
  at = tiny_text_json(at, end, line->text.text, line->text.size);
  at = put(at, end, "\"");
  at = write_fields(line, at, end);
  return put(at, end, "}");
}
