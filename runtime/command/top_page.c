/* SPDX-License-Identifier: MIT
 * top_page.c -- an array of lines. */
#include "top_page.h"

#include "top_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static tiny_page_line *add(tiny_page *page, tiny_style style, char *text) {
  if (page->count == page->room) {
    int room = page->room ? 2 * page->room : 64;
    tiny_page_line *more = realloc(page->lines, (size_t)room * sizeof *more);
    if (more) page->room = room;
    if (more) page->lines = more;
  }
  if (!text || page->count == page->room) {
    free(text);
    return NULL;
  }
  page->lines[page->count] = (tiny_page_line){.text = text, .style = style};
  return &page->lines[page->count++];
}

tiny_page_line *tiny_page_add(tiny_page *page, tiny_style style, const char *format, ...) {
  char *text = NULL;
  va_list list;
  va_start(list, format);
  if (vasprintf(&text, format, list) < 0) text = NULL;
  va_end(list);
  return add(page, style, text);
}

void tiny_page_add_text(tiny_page *page, tiny_style style, const char *text, int indent,
                        int width) {
  for (size_t size; *text; text += size + (text[size] == '\n')) {
    size = tiny_top_cut(text, width - indent);
    tiny_page_add(page, style, "%*s%.*s", indent, "", (int)size, text);
  }
}

void tiny_page_clear(tiny_page *page) {
  for (int i = 0; i < page->count; i++) free(page->lines[i].text);
  free(page->lines);
  *page = (tiny_page){0};
}

void tiny_page_print(const tiny_page *page, FILE *out) {
  for (int i = 0; i < page->count; i++) fprintf(out, "%s\n", page->lines[i].text);
}
