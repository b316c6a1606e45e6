/* SPDX-License-Identifier: MIT
 * log_settings.h -- the log.* keys of one configuration, parsed. Made by any thread,
 * then owned by the log thread. */
#ifndef TINY_LOG_SETTINGS_H
#define TINY_LOG_SETTINGS_H

#include "log_format.h"

typedef enum tiny_sink_id {
  TINY_SINK_CONSOLE,
  TINY_SINK_SYSLOG,
  TINY_SINK_FILE,
  TINY_SINK_EMAIL,
  TINY_SINK_HOST, /* of a program that embeds us; off in what is parsed */
  TINY_SINKS
} tiny_sink_id;

typedef struct tiny_log_settings {
  tiny_conf *conf; /* held; NULL: the defaults, without any conf.lua */
  struct {
    bool on;
    tiny_level level;
    tiny_format *format; /* NULL when off */
  } sinks[TINY_SINKS];
  size_t buffer;         /* bytes of the ring */
  uint32_t repeat_limit; /* identical lines a second; 0: any number */
} tiny_log_settings;

/* As in the keys: "console", "syslog", "file_log", "email"; and "host". */
const char *tiny_sink_name(tiny_sink_id id);

/* Parse; the file system is not looked at. 'conf' NULL gives the defaults. Returns NULL
 * with the reason in 'why', which names the key. */
tiny_log_settings *tiny_log_settings_new(tiny_conf *conf, char *why, size_t why_size);
void tiny_log_settings_free(tiny_log_settings *settings); /* NULL is allowed */

/* What lines must carry for the sinks that are on, TINY_WANTS_* ORed. */
unsigned tiny_log_settings_wants(const tiny_log_settings *settings);

#endif
