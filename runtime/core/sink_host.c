/* SPDX-License-Identifier: MIT
 * sink_host.c -- lines for the program that embeds the runtime. */
#include "log_thread.h"

#include <string.h>

static void settle(tiny_sink *sink, const tiny_log_settings *settings) {
  (void)sink;
  (void)settings;
}

static void take(tiny_sink *sink, tiny_clock *clock, const tiny_line *line) {
  char file[256] = ""; /* its size is a byte in the ring */
  (void)clock;
  if (line->file.size) memcpy(file, line->file.text, line->file.size);
  tiny_logged out = {
      .level = line->level,
      .time_ns = line->time_ns,
      .text = line->text.text,
      .text_size = line->text.size,
      .file = file,
      .line = line->number,
      .fields = line->fields.size ? line->fields.text : "",
      .fields_size = line->fields.size,
  };
  sink->log->host(sink->log->host_data, &out);
}

const tiny_sink_type tiny_sink_host = {.settle = settle, .take = take};
