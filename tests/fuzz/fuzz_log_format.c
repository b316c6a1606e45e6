/* SPDX-License-Identifier: MIT
 * fuzz_log_format.c -- formats of log lines, and lines of any bytes written by them: within their
 * bounds, whole in the room that was promised, and JSON where that was asked for. The input is
 * a format, a zero byte and a message; the first bytes say the rest. */
#include "fuzz.h"

#include "log_format.h"

#include <jansson.h>

static tiny_line line_of(const char *text, size_t size, uint8_t kind) {
  size_t part = size / 4;
  tiny_line line = {.level = kind % TINY_LEVELS,
                    .time_ns = (uint64_t)kind << 55,
                    .number = kind * 16777u,
                    .text = {text, size},
                    .file = {text, part},
                    .func = {text + part, part},
                    .thread = {text + size - part, part}};
  if (kind & 64) line.fields = (tiny_span){"{\"a\":[1,\"\xff\n\"]}", 14};
  return line;
}

static size_t write_in(const tiny_format *format, const tiny_line *line, size_t room) {
  tiny_clock clock = {0};
  char *buffer = malloc(room + 1);
  FUZZ_CHECK(buffer != NULL);
  char *end = tiny_format_write(format, &clock, line, buffer, buffer + room);
  FUZZ_CHECK(end >= buffer && end <= buffer + room);
  size_t size = (size_t)(end - buffer);
  free(buffer);
  return size;
}

static void check_json(const tiny_format *format, const tiny_line *line) {
  tiny_clock clock = {0};
  size_t room = tiny_format_most(format, line);
  char *buffer = malloc(room);
  FUZZ_CHECK(buffer != NULL);
  char *end = tiny_format_write(format, &clock, line, buffer, buffer + room);
  FUZZ_CHECK(memchr(buffer, '\n', (size_t)(end - buffer)) == NULL);
  json_t *object = json_loadb(buffer, (size_t)(end - buffer), JSON_ALLOW_NUL, NULL);
  FUZZ_CHECK(json_is_object(object));
  json_decref(object);
  free(buffer);
}

static void check(const char *spec, const char *text, size_t size, uint8_t kind, uint8_t room) {
  char why[200] = "";
  tiny_format *format = tiny_format_new(spec, kind & 1 ? "name" : "", kind, why, sizeof why);
  if (!format) {
    FUZZ_CHECK(*why);
    return;
  }
  tiny_line line = line_of(text, size, kind);
  size_t most = tiny_format_most(format, &line), whole = write_in(format, &line, most);
  FUZZ_CHECK(whole == write_in(format, &line, most + 64));
  write_in(format, &line, room < whole ? room : whole);
  write_in(format, &line, whole);
  if (strcmp(spec, "json") == 0) check_json(format, &line);
  tiny_format_free(format);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  char *spec = fuzz_text(data + 2, size - 2);
  size_t used = 2 + strlen(spec) + 1, left = used < size ? size - used : 0;
  char *text = fuzz_copy(data + (left ? used : 0), left);
  check(spec, text, left, data[0], data[1]);
  check("json", text, left, data[0], data[1]);
  free(text);
  free(spec);
  return 0;
}
