/* SPDX-License-Identifier: MIT
 * top_text.c -- one character after the other, each as wide as the terminal shows it. */
#include "top_text.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static bool shows_utf8(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

typedef struct glyph {
  size_t size;
  int columns;
  const char *text; /* what is shown of it: itself or another */
} glyph;

static glyph next_glyph(const char *text, size_t left, mbstate_t *state) {
  wchar_t wide;
  size_t size = mbrtowc(&wide, text, left, state);
  if (size == (size_t)-1 || size == (size_t)-2) {
    memset(state, 0, sizeof *state);
    return (glyph){1, 1, "?"};
  }
  if (strchr("\t\r\n", *text)) return (glyph){1, 1, " "};
  int columns = wcwidth(wide);
  if (columns < 0) return (glyph){size, 1, "?"};
  return (glyph){size, columns, text};
}

char *tiny_top_fit(const char *text, int columns, bool pad) {
  size_t left = text ? strlen(text) : 0, used = 0;
  char *to = malloc(left + (size_t)columns + 1);
  mbstate_t state = {0};
  if (!to) return NULL;
  while (left > 0) {
    glyph g = next_glyph(text, left, &state);
    if (g.columns > columns) break;
    size_t size = g.text == text ? g.size : 1;
    memcpy(to + used, g.text, size);
    used += size;
    columns -= g.columns;
    text += g.size;
    left -= g.size;
  }
  for (; pad && columns > 0; columns--) to[used++] = ' ';
  to[used] = 0;
  return to;
}

size_t tiny_top_cut(const char *text, int columns) {
  size_t left = strcspn(text, "\n"), size = 0;
  mbstate_t state = {0};
  while (size < left) {
    glyph g = next_glyph(text + size, left - size, &state);
    columns -= g.columns;
    if (columns < 0 && size > 0) break;
    size += g.size;
  }
  return size;
}

void tiny_top_bytes(char *to, size_t room, double bytes) {
  static const char units[] = "BKMGTP";
  int unit = 0;
  for (; bytes >= 1000 && units[unit + 1]; unit++) bytes /= 1024;
  if (unit == 0)
    snprintf(to, room, "%.0f", bytes);
  else
    snprintf(to, room, "%.*f%c", bytes < 10 ? 1 : 0, bytes, units[unit]);
}

void tiny_top_span(char *to, size_t room, double seconds) {
  long s = seconds > 0 && seconds < 1e12 ? (long)seconds : 0;
  if (s < 60)
    snprintf(to, room, "%lds", s);
  else if (s < 3600)
    snprintf(to, room, "%ldm%02ld", s / 60, s % 60);
  else if (s < 86400)
    snprintf(to, room, "%ldh%02ld", s / 3600, s / 60 % 60);
  else
    snprintf(to, room, "%ldd%02ldh", s / 86400, s / 3600 % 24);
}

static const char *bar(double share) {
  static const char *const fine[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char *const plain[] = {"_", ".", "-", ":", "=", "+", "*", "#"};
  int step = share > 0 ? (int)(share * 7.999) : 0;
  return shows_utf8() ? fine[step] : plain[step];
}

char *tiny_top_bars(const double *values, int count, int columns) {
  int first = count > columns ? count - columns : 0;
  double highest = 0;
  char *to = malloc((size_t)(count - first) * 3 + 1), *end = to;
  if (!to) return NULL;
  for (int i = first; i < count; i++)
    if (values[i] > highest) highest = values[i];
  for (int i = first; i < count; i++) end = stpcpy(end, bar(highest > 0 ? values[i] / highest : 0));
  *end = 0;
  return to;
}
