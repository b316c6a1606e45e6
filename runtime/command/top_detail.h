/* SPDX-License-Identifier: MIT
 * top_detail.h -- all that is known of one server. */
#ifndef TINY_TOP_DETAIL_H
#define TINY_TOP_DETAIL_H

#include "top_page.h"
#include "top_server.h"

/* As many lines as it takes. */
void tiny_top_detail(tiny_page *page, const tiny_top_server *server, int width);

#endif
