/* SPDX-License-Identifier: MIT
 * top_table.c -- columns: what each shows, how wide it is, how it sorts. Where the terminal
 * is too narrow the last ones are left out. */
#include "top_table.h"

#include "top_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { NAME = 16, LONGEST_NAME = 32, BARS = 16, CELL = 32 };

typedef enum kind { STATE, MS, PERCENT, BYTES, SPAN, WHOLE, AGE } kind;

typedef struct column {
  const char *title;
  int width; /* text to the left, figures to the right */
  char key;  /* that sorts by it */
  kind kind;
  const char *field; /* of info; NULL: it is made here */
} column;

/* In the order of their worth, behind the name. */
static const column columns[] = {
    {"STATE", 10, 's', STATE, NULL},      {"LAGms", 5, 'l', MS, "loop_lag_ms"},
    {"CPU%", 5, 'c', PERCENT, NULL},      {"HEAP", 5, 'h', BYTES, "lua_heap_bytes"},
    {"RSS", 5, 'm', BYTES, "rss_bytes"},  {"UP", 6, 'u', SPAN, "uptime"},
    {"GEN", 4, 'g', WHOLE, "generation"}, {"ERR", 4, 'e', WHOLE, "errors"},
    {"AGE", 5, 'a', AGE, NULL},           {"CONN", 5, 'o', WHOLE, "connections"},
    {"TASKS", 6, 't', WHOLE, "tasks"},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* -- values ------------------------------------------------------------------ */

static double value_of(const tiny_top_server *server, const column *c) {
  switch (c->kind) {
  case STATE: return tiny_top_server_mood(server);
  case PERCENT: return server->cpu_percent;
  case AGE: return tiny_top_server_silence(server);
  default: return tiny_top_server_number(server, c->field);
  }
}

/* An error of late shows in the state too, for those who see no colours. */
static void show_state(const tiny_top_server *server, char *cell) {
  bool erred = tiny_top_server_mood(server) == TINY_MOOD_ERROR;
  char *fit = tiny_top_fit(tiny_top_server_state(server), 9, false);
  snprintf(cell, CELL, "%s%s", fit ? fit : "", erred ? "!" : "");
  free(fit);
}

static void show(const tiny_top_server *server, const column *c, char *cell) {
  double value = value_of(server, c);
  bool unknown = !server->heard_ns && c->kind != STATE && c->kind != AGE;
  if (unknown)
    strcpy(cell, "-");
  else
    switch (c->kind) {
    case STATE: show_state(server, cell); break;
    case MS: snprintf(cell, CELL, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value); break;
    case PERCENT: snprintf(cell, CELL, "%.1f", value); break;
    case BYTES: tiny_top_bytes(cell, CELL, value); break;
    case SPAN:
    case AGE: tiny_top_span(cell, CELL, value); break;
    case WHOLE: snprintf(cell, CELL, "%.0f", value); break;
    }
}

/* -- sorting ----------------------------------------------------------------- */

typedef struct order {
  const column *column; /* NULL: by name */
  bool reversed;
} order;

static const column *column_of(char key) {
  for (int i = 0; i < COLUMNS; i++)
    if (columns[i].key == key) return &columns[i];
  return NULL;
}

bool tiny_top_is_sort_key(char key) { return key == 'n' || column_of(key) != NULL; }

/* The highest first; names, and those that are the same, from A to Z. */
static int compare(const void *a, const void *b, void *data) {
  const tiny_top_server *one = *(tiny_top_server *const *)a, *other = *(tiny_top_server *const *)b;
  const order *by = data;
  double difference = by->column ? value_of(other, by->column) - value_of(one, by->column) : 0;
  int result = (difference > 0) - (difference < 0);
  if (result == 0) result = strcasecmp(tiny_top_server_name(one), tiny_top_server_name(other));
  if (result == 0) result = strcmp(one->endpoint, other->endpoint);
  return by->reversed ? -result : result;
}

void tiny_top_sort(tiny_top_list *list, char key, bool reversed) {
  order by = {column_of(key), reversed};
  qsort_r(list->servers, (size_t)list->count, sizeof *list->servers, compare, &by);
}

/* -- lines ------------------------------------------------------------------- */

/* How much of it is shown in so many columns of the terminal. */
typedef struct layout {
  int name, columns, bars;
} layout;

static int name_width(const tiny_top_list *list) {
  int width = NAME;
  for (int i = 0; i < list->count; i++) {
    int length = (int)strlen(tiny_top_server_name(list->servers[i]));
    if (length > width) width = length;
  }
  return width < LONGEST_NAME ? width : LONGEST_NAME;
}

/* Columns go before a long name, bars come last. */
static layout lay_out(const tiny_top_list *list, int width) {
  layout l = {NAME, 0, 0};
  int left = width - 2 - NAME, longer = name_width(list) - NAME;
  for (; l.columns < COLUMNS && left > columns[l.columns].width; l.columns++)
    left -= columns[l.columns].width + 1;
  if (left < longer) longer = left > 0 ? left : 0;
  l.name += longer;
  left -= longer;
  if (left > BARS) l.bars = BARS;
  return l;
}

/* For free(); an empty text where there is no memory. */
static char *head(const layout *l) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out) return NULL;
  fprintf(out, "  %-*s", l->name, "NAME");
  for (int i = 0; i < l->columns; i++)
    fprintf(out, columns[i].kind == STATE ? " %-*s" : " %*s", columns[i].width, columns[i].title);
  if (l->bars) fprintf(out, " LAG OF LATE");
  fclose(out);
  return text;
}

static char *row(const layout *l, const tiny_top_server *server, bool chosen) {
  char *text = NULL, cell[CELL];
  size_t size;
  FILE *out = open_memstream(&text, &size);
  char *name = tiny_top_fit(tiny_top_server_name(server), l->name, true);
  char *bars = tiny_top_bars(server->lag.values, server->lag.count, l->bars);
  if (out) {
    fprintf(out, "%c %s", chosen ? '>' : ' ', name ? name : "");
    for (int i = 0; i < l->columns; i++) {
      show(server, &columns[i], cell);
      fprintf(out, columns[i].kind == STATE ? " %-*s" : " %*s", columns[i].width, cell);
    }
    if (l->bars) fprintf(out, " %s", bars ? bars : "");
    fclose(out);
  }
  free(bars);
  free(name);
  return text;
}

static tiny_style style_of(const tiny_top_server *server) {
  static const tiny_style styles[] = {
      [TINY_MOOD_FINE] = TINY_STYLE_PLAIN, [TINY_MOOD_BUSY] = TINY_STYLE_QUIET,
      [TINY_MOOD_ERROR] = TINY_STYLE_WARN, [TINY_MOOD_SILENT] = TINY_STYLE_LOST,
      [TINY_MOOD_HUNG] = TINY_STYLE_ALARM,
  };
  return styles[tiny_top_server_mood(server)];
}

/* "5 servers: 3 running, 1 hung, 1 silent" */
static void add_title(tiny_page *page, const tiny_top_list *list, int width) {
  static const char *const words[] = {"running", "other", "with errors", "silent", "hung"};
  int counts[TINY_MOOD_HUNG + 1] = {0};
  char text[160], clock[16];
  time_t now = time(NULL);
  for (int i = 0; i < list->count; i++) counts[tiny_top_server_mood(list->servers[i])]++;
  int used = snprintf(text, sizeof text, "tiny top: %d server%s", list->count,
                      list->count == 1 ? "" : "s");
  for (int i = TINY_MOOD_HUNG; i >= 0; i--)
    if (counts[i] > 0)
      used += snprintf(text + used, sizeof text - (size_t)used, ", %d %s", counts[i], words[i]);
  strftime(clock, sizeof clock, "%H:%M:%S", localtime(&now));
  tiny_page_add(page, TINY_STYLE_TITLE, "%-*s%s", width - (int)strlen(clock), text, clock);
}

void tiny_top_table(tiny_page *page, const tiny_top_list *list, const tiny_top_server *chosen,
                    int first, int rows, int width) {
  layout l = lay_out(list, width);
  char *text = head(&l);
  add_title(page, list, width);
  tiny_page_add(page, TINY_STYLE_TITLE, "%s", text ? text : "");
  free(text);
  for (int i = first; i < list->count && i < first + rows; i++) {
    const tiny_top_server *server = list->servers[i];
    text = row(&l, server, server == chosen);
    tiny_page_line *line = tiny_page_add(page, style_of(server), "%s", text ? text : "");
    if (line) line->chosen = server == chosen;
    free(text);
  }
}
