/* SPDX-License-Identifier: MIT
 * top_detail.c -- the figures with their history, then what there is to read. */
#include "top_detail.h"

#include "top_text.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL = 11, FIGURE = 28, CELL = 32, INDENT = 2 };

static double number(const tiny_top_server *server, const char *key) {
  return tiny_top_server_number(server, key);
}

static const char *text(const tiny_top_server *server, const char *key) {
  const char *value = tiny_top_server_text(server, key);
  return value ? value : "";
}

static void add_identity(tiny_page *page, const tiny_top_server *server) {
  char up[CELL], age[CELL];
  tiny_top_span(up, sizeof up, number(server, "uptime"));
  tiny_top_span(age, sizeof age, tiny_top_server_silence(server));
  tiny_page_add(page, TINY_STYLE_TITLE, "%s: %s", tiny_top_server_name(server),
                tiny_top_server_state(server));
  tiny_page_add(page, TINY_STYLE_PLAIN, "%-*s%s, heard %s ago, %llu messages missed", LABEL, "feed",
                server->endpoint, age, (unsigned long long)server->missed);
  if (!server->heard_ns) return;
  tiny_page_add(page, TINY_STYLE_PLAIN, "%-*spid %.0f on %s, up %s, since %s", LABEL, "process",
                number(server, "pid"), text(server, "host"), up, text(server, "start_time"));
  tiny_page_add(page, TINY_STYLE_PLAIN, "%-*s%.0f, %.0f alive%s%s %s", LABEL, "generation",
                number(server, "generation"), number(server, "generations_alive"),
                *text(server, "last_reload_result") ? "; " : "", text(server, "last_reload_time"),
                text(server, "last_reload_result"));
}

static const char *member_text(const json_t *member, const char *key) {
  const char *value = json_string_value(json_object_get(member, key));
  return value ? value : "?";
}

/* Its part in a cluster, and who else is in it. Only the active has a token. */
static void add_cluster(tiny_page *page, const tiny_top_server *server) {
  char token[CELL] = "";
  const json_t *member;
  size_t i;
  if (!*text(server, "role")) return;
  if (number(server, "token") > 0)
    snprintf(token, sizeof token, ", token %.0f", number(server, "token"));
  tiny_page_add(page, TINY_STYLE_PLAIN, "%-*s%s%s", LABEL, "role", text(server, "role"), token);
  json_array_foreach(json_object_get(server->info, "members"), i, member) {
    tiny_page_add(page, TINY_STYLE_PLAIN, "%-*s%s@%s, pid %.0f, %s", LABEL, i ? "" : "members",
                  member_text(member, "name"), member_text(member, "host"),
                  json_number_value(json_object_get(member, "pid")), member_text(member, "role"));
  }
}

/* A figure and how it went. */
static void add_series(tiny_page *page, const char *label, const char *figure,
                       const tiny_series *series, int width) {
  int columns = width - LABEL - FIGURE - 1;
  char *bars = tiny_top_bars(series->values, series->count, columns > 0 ? columns : 0);
  tiny_page_add(page, TINY_STYLE_PLAIN, "%-*s%-*s %s", LABEL, label, FIGURE, figure,
                bars ? bars : "");
  free(bars);
}

static void add_figures(tiny_page *page, const tiny_top_server *server, int width) {
  char figure[4 * CELL], heap[CELL], rss[CELL];
  tiny_top_bytes(heap, sizeof heap, number(server, "lua_heap_bytes"));
  tiny_top_bytes(rss, sizeof rss, number(server, "rss_bytes"));
  snprintf(figure, sizeof figure, "%.2f ms, mean %.2f ms", number(server, "loop_lag_ms"),
           number(server, "loop_lag_mean_ms"));
  add_series(page, "loop lag", figure, &server->lag, width);
  snprintf(figure, sizeof figure, "%s of Lua, %s RSS", heap, rss);
  add_series(page, "memory", figure, &server->heap, width);
  snprintf(figure, sizeof figure, "%.1f %%, %.2f s in all", server->cpu_percent,
           number(server, "cpu_seconds"));
  add_series(page, "CPU", figure, &server->cpu, width);
  tiny_page_add(
      page, TINY_STYLE_PLAIN,
      "%-*s%.0f timers, %.0f tasks, %.0f connections, %.0f errors, %.0f log lines, %.0f dropped",
      LABEL, "holds", number(server, "timers"), number(server, "tasks"),
      number(server, "connections"), number(server, "errors"), number(server, "log_lines"),
      number(server, "log_dropped"));
}

static void add_heading(tiny_page *page, tiny_style style, const char *heading, const char *more) {
  tiny_page_add(page, TINY_STYLE_PLAIN, "%s", "");
  tiny_page_add(page, style, "%s%s%s", heading, *more ? " " : "", more);
}

static void add_hang(tiny_page *page, const tiny_top_server *server, int width) {
  char span[CELL];
  if (!(number(server, "hung_for") > 0)) return;
  tiny_top_span(span, sizeof span, number(server, "hung_for"));
  add_heading(page, TINY_STYLE_ALARM, "hung for", span);
  tiny_page_add_text(page, TINY_STYLE_PLAIN, text(server, "hung_stack"), INDENT, width);
}

/* The traceback begins with the error itself. */
static void add_error(tiny_page *page, const tiny_top_server *server, int width) {
  const char *trace = text(server, "last_trace"), *error = text(server, "last_error");
  if (!*error) return;
  add_heading(page, TINY_STYLE_WARN, "last error", text(server, "last_error_time"));
  tiny_page_add_text(page, TINY_STYLE_PLAIN, *trace ? trace : error, INDENT, width);
}

/* A line "name = value", or as many as it takes. */
static void add_pair(tiny_page *page, const char *name, const char *between, const char *value,
                     int width) {
  char *line = NULL;
  if (asprintf(&line, "%s%s%s", name, between, value) < 0) return;
  tiny_page_add_text(page, TINY_STYLE_PLAIN, line, INDENT, width);
  free(line);
}

static void add_summaries(tiny_page *page, const tiny_top_server *server, int width) {
  if (server->summary_count == 0) return;
  add_heading(page, TINY_STYLE_TITLE, "summaries", "");
  for (int i = server->summary_count - 1; i >= 0; i--)
    add_pair(page, server->summaries[i].time, "  ", server->summaries[i].text, width);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The members of an object from A to Z. */
static void add_object(tiny_page *page, const char *heading, json_t *object, int width) {
  size_t count = json_object_size(object), i = 0;
  const char **keys = calloc(count + 1, sizeof *keys), *key;
  json_t *value;
  if (!keys || count == 0) {
    free(keys);
    return;
  }
  json_object_foreach(object, key, value) keys[i++] = key;
  qsort(keys, count, sizeof *keys, by_name);
  add_heading(page, TINY_STYLE_TITLE, heading, "");
  for (i = 0; i < count; i++) {
    value = json_object_get(object, keys[i]);
    char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    add_pair(page, keys[i], " = ", shown ? shown : "", width);
    free(shown);
  }
  free(keys);
}

void tiny_top_detail(tiny_page *page, const tiny_top_server *server, int width) {
  add_identity(page, server);
  if (!server->heard_ns) return;
  add_cluster(page, server);
  add_figures(page, server, width);
  add_hang(page, server, width);
  add_error(page, server, width);
  add_summaries(page, server, width);
  add_object(page, "figures of its own", json_object_get(server->info, "app"), width);
  add_object(page, "configuration in force", server->conf, width);
}
