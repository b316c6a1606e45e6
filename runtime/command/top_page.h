/* SPDX-License-Identifier: MIT
 * top_page.h -- lines of text, each in one style: what the views of `tiny top` make and the
 * terminal shows. */
#ifndef TINY_TOP_PAGE_H
#define TINY_TOP_PAGE_H

#include <stdio.h>

typedef enum tiny_style {
  TINY_STYLE_PLAIN,
  TINY_STYLE_TITLE,
  TINY_STYLE_QUIET, /* help, and what is in passing */
  TINY_STYLE_WARN,
  TINY_STYLE_LOST,
  TINY_STYLE_ALARM,
  TINY_STYLES
} tiny_style;

typedef struct tiny_page_line {
  char *text;
  tiny_style style;
  int chosen; /* shown as the one that the keys are for */
} tiny_page_line;

typedef struct tiny_page {
  tiny_page_line *lines;
  int count, room;
} tiny_page;

/* Add a line; without memory it is left out. Returns it, or NULL. */
tiny_page_line *tiny_page_add(tiny_page *page, tiny_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Add each line of a text, moved to the right by 'indent'; those longer than 'width' go on in the next. */
void tiny_page_add_text(tiny_page *page, tiny_style style, const char *text, int indent, int width);

void tiny_page_clear(tiny_page *page); /* frees all of it */

/* Write the lines as they are. */
void tiny_page_print(const tiny_page *page, FILE *out);

#endif
