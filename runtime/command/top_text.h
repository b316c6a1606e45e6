/* SPDX-License-Identifier: MIT
 * top_text.h -- what `tiny top` writes: text of unknown origin made to fit a terminal, figures,
 * sparklines. In the encoding of the locale. */
#ifndef TINY_TOP_TEXT_H
#define TINY_TOP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copy of 'text' for free() that fills at most 'columns', exactly as many when 'pad'. Control characters, and
 * what the locale cannot show, read as '?'; line ends and tabs as spaces. NULL reads as "". */
char *tiny_top_fit(const char *text, int columns, bool pad);

/* How many bytes of the first line of 'text' fill 'columns'; all of it where it is shorter, and one
 * character at the least. */
size_t tiny_top_cut(const char *text, int columns);

/* Figures in 'room' bytes: 340, 1.2K, 34M; 12s, 3m04, 2h10, 5d03h. */
void tiny_top_bytes(char *to, size_t room, double bytes);
void tiny_top_span(char *to, size_t room, double seconds);

/* The last 'columns' of 'count' values as little bars from 0 to the highest, for free(). */
char *tiny_top_bars(const double *values, int count, int columns);

#endif
