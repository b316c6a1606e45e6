/* SPDX-License-Identifier: MIT
 * top_table.h -- all servers, a line each. */
#ifndef TINY_TOP_TABLE_H
#define TINY_TOP_TABLE_H

#include "top_page.h"
#include "top_server.h"

/* Whether a column has that key, and sorting by it: 'n' is the name. Names go from A to Z, all else
 * from the highest; 'reversed' turns that round. */
bool tiny_top_is_sort_key(char key);
void tiny_top_sort(tiny_top_list *list, char key, bool reversed);

/* Title, head, and 'rows' lines at the most from server 'first' on, for 'width' columns of the
 * terminal; 'chosen' is marked (NULL: none). */
void tiny_top_table(tiny_page *page, const tiny_top_list *list, const tiny_top_server *chosen,
                    int first, int rows, int width);

#endif
