/* SPDX-License-Identifier: MIT
 * api_http.h -- HTTP requests as tasks of Lua. */
#ifndef TINY_API_HTTP_H
#define TINY_API_HTTP_H

#include "http.h"

extern const tiny_http_hooks tiny_request_hooks;

#endif
