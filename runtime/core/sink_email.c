/* SPDX-License-Identifier: MIT
 * sink_email.c -- lines for the mailer, which has a thread of its own. */
#include "log_thread.h"
#include "mailer.h"

#include <stdlib.h>

static void wake(void *data) { tiny_log_nudge(data); }

static void settle(tiny_sink *sink, const tiny_log_settings *settings) {
  if (sink->on && !sink->own) sink->own = tiny_mailer_new(wake, sink->log);
  if (!sink->own) sink->on = false;
  if (sink->on) tiny_mailer_configure(sink->own, settings->conf);
}

static void take(tiny_sink *sink, tiny_clock *clock, const tiny_line *line) {
  size_t most = tiny_format_most(sink->format, line);
  char *text = malloc(most);
  if (!text) return;
  char *end = tiny_format_write(sink->format, clock, line, text, text + most);
  tiny_mailer_add(sink->own, line->text.text, line->text.size, text, (size_t)(end - text));
  free(text);
}

static void tend(tiny_sink *sink) {
  char text[400];
  tiny_level level;
  if (!tiny_mailer_tell(sink->own, &level, text, sizeof text)) return;
  tiny_log_own(sink->log, sink, level, "%s", text);
}

static void hurry(tiny_sink *sink, uint64_t by_ns) { tiny_mailer_hurry(sink->own, by_ns); }
static bool busy(tiny_sink *sink) { return tiny_mailer_busy(sink->own); }
static void fini(tiny_sink *sink) { tiny_mailer_free(sink->own); }

const tiny_sink_type tiny_sink_email = {
    .settle = settle, .take = take, .tend = tend, .hurry = hurry, .busy = busy, .fini = fini};
