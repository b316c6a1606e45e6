/* SPDX-License-Identifier: MIT
 * log_settings.c -- parsing the log.* keys. Types and names were checked when conf.lua was. */
#include "log_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_BUFFER (4u << 20)
#define DEFAULT_REPEAT 10

static const struct {
  const char *name, *key, *level, *format;
  tiny_level usual;
} sinks[TINY_SINKS] = {
    {"console", "log.console", "log.console.level", "log.console.format", TINY_INFO},
    {"syslog", "log.syslog", "log.syslog.level", "log.syslog.format", TINY_WARN},
    {"file_log", "log.file_log", "log.file_log.level", "log.file_log.format", TINY_WARN},
    {"email", "log.email", "log.email.level", "log.email.format", TINY_ERROR},
    {"host", NULL, NULL, NULL, TINY_DEBUG},
};

const char *tiny_sink_name(tiny_sink_id id) { return sinks[id].name; }

static bool is_on(const tiny_conf *conf, tiny_sink_id id) {
  if (id == TINY_SINK_HOST) return false;
  if (!conf) return id == TINY_SINK_CONSOLE;
  const char *path = tiny_conf_string(conf, sinks[id].key);
  return id == TINY_SINK_FILE ? path && *path : tiny_conf_bool(conf, sinks[id].key);
}

static int parse_sink(tiny_log_settings *s, tiny_sink_id id, char *why, size_t why_size) {
  char reason[200];
  const char *level =
      s->conf && sinks[id].level ? tiny_conf_string(s->conf, sinks[id].level) : NULL;
  const char *format =
      s->conf && sinks[id].format ? tiny_conf_string(s->conf, sinks[id].format) : NULL;
  const char *name = s->conf ? tiny_conf_string(s->conf, "svr.name") : NULL;
  s->sinks[id].level = sinks[id].usual;
  if (level && tiny_level_parse(level, &s->sinks[id].level) != 0) {
    snprintf(why, why_size, "%s: no level is called \"%s\"", sinks[id].level, level);
    return -1;
  }
  s->sinks[id].format = tiny_format_new(format ? format : TINY_FORMAT_DEFAULT, name ? name : "tiny",
                                        (long)getpid(), reason, sizeof reason);
  if (s->sinks[id].format) return 0;
  snprintf(why, why_size, "%s: %s", sinks[id].format, reason);
  return -1;
}

static int parse(tiny_log_settings *s, char *why, size_t why_size) {
  for (int id = 0; id < TINY_SINKS; id++) {
    s->sinks[id].on = is_on(s->conf, id);
    bool wanted = s->sinks[id].on || id == TINY_SINK_HOST;
    if (wanted && parse_sink(s, id, why, why_size) != 0) return -1;
  }
  double buffer = s->conf ? tiny_conf_number(s->conf, "log.buffer") : 0;
  s->buffer = buffer > 0 ? (size_t)buffer : DEFAULT_BUFFER;
  s->repeat_limit =
      s->conf ? (uint32_t)tiny_conf_number(s->conf, "log.repeat_limit") : DEFAULT_REPEAT;
  return 0;
}

tiny_log_settings *tiny_log_settings_new(tiny_conf *conf, char *why, size_t why_size) {
  tiny_log_settings *s = calloc(1, sizeof *s);
  if (!s) {
    snprintf(why, why_size, "out of memory");
    return NULL;
  }
  s->conf = tiny_conf_hold(conf);
  if (parse(s, why, why_size) == 0) return s;
  tiny_log_settings_free(s);
  return NULL;
}

void tiny_log_settings_free(tiny_log_settings *settings) {
  if (!settings) return;
  for (int id = 0; id < TINY_SINKS; id++) tiny_format_free(settings->sinks[id].format);
  tiny_conf_drop(settings->conf);
  free(settings);
}

unsigned tiny_log_settings_wants(const tiny_log_settings *settings) {
  unsigned wants = 0;
  for (int id = 0; id < TINY_SINKS; id++) {
    if (settings->sinks[id].on) wants |= tiny_format_wants(settings->sinks[id].format);
  }
  return wants;
}
