/* SPDX-License-Identifier: MIT
 * settings.h -- what an order means to libcurl. */
#ifndef TINY_CURL_SETTINGS_H
#define TINY_CURL_SETTINGS_H

#include "fetch.h"

#include <curl/curl.h>

/* All but the headers and the callbacks. Returns what libcurl says of the URL. */
CURLcode settings_apply(CURL *easy, const tiny_fetch_order *order);

#endif
