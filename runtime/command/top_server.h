/* SPDX-License-Identifier: MIT
 * top_server.h -- what `tiny top` knows of one server: its last message and a little history. */
#ifndef TINY_TOP_SERVER_H
#define TINY_TOP_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TINY_TOP_POINTS = 120, TINY_TOP_SUMMARIES = 20 };

typedef struct tiny_series {
  double values[TINY_TOP_POINTS]; /* oldest first */
  int count;
} tiny_series;

typedef struct tiny_summary {
  char *time, *text;
} tiny_summary;

/* How much it needs somebody to look. */
typedef enum tiny_mood {
  TINY_MOOD_FINE,
  TINY_MOOD_BUSY,   /* starting, reloading, standby, closing or closed */
  TINY_MOOD_ERROR,  /* it runs and had an error of late */
  TINY_MOOD_SILENT, /* nothing was heard for longer than its period allows */
  TINY_MOOD_HUNG
} tiny_mood;

typedef struct tiny_top_server {
  const char *endpoint; /* borrowed */
  char *topic;          /* NULL until a message has come */
  json_t *info, *conf;  /* of the last message */
  uint64_t seq, missed;
  uint64_t since_ns;  /* known since; all times here are uv_hrtime() */
  uint64_t heard_ns;  /* the last message, 0: none yet */
  double cpu_percent; /* between the last two messages */
  tiny_series lag, heap, cpu;
  tiny_summary summaries[TINY_TOP_SUMMARIES]; /* oldest first */
  int summary_count;
} tiny_top_server;

/* A growing array, in the order shown. */
typedef struct tiny_top_list {
  tiny_top_server **servers;
  int count;
} tiny_top_list;

/* Returns NULL when out of memory. */
tiny_top_server *tiny_top_server_new(const char *endpoint);
void tiny_top_server_free(tiny_top_server *server);

/* Take a message over. Both references are taken. */
void tiny_top_server_take(tiny_top_server *server, json_t *info, json_t *conf, uint64_t seq);

/* Figures and texts of the last message: 0 or NULL when it has none. */
double tiny_top_server_number(const tiny_top_server *server, const char *key);
const char *tiny_top_server_text(const tiny_top_server *server, const char *key);

/* How it is, in a word: its own one, or "silent", "closed" or "waiting". */
const char *tiny_top_server_state(const tiny_top_server *server);
tiny_mood tiny_top_server_mood(const tiny_top_server *server);

/* Its name, its endpoint while that is not known. */
const char *tiny_top_server_name(const tiny_top_server *server);

/* Seconds since its last message, or since we wait for one. */
double tiny_top_server_silence(const tiny_top_server *server);

#endif
