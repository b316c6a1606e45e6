/* SPDX-License-Identifier: MIT
 * multi.h -- libcurl's transfers on a uv loop. */
#ifndef TINY_CURL_MULTI_H
#define TINY_CURL_MULTI_H

#include <curl/curl.h>
#include <uv.h>

typedef struct multi multi;

/* 'turned' is called after libcurl has done something: the place for what may not be done inside of its
 * callbacks. 'done' then for each transfer that has ended. NULL when out of memory. */
typedef struct multi_owner {
  void (*turned)(void *data);
  void (*done)(void *data, CURL *easy, CURLcode code);
  void *data;
} multi_owner;
multi *multi_open(uv_loop_t *loop, const multi_owner *owner);

/* All transfers must have been removed. Frees in the handle's close callback. */
void multi_close(multi *m);

CURLM *multi_handle(multi *m);

/* A transfer was added: begin it in the next turn. Not from inside of libcurl's callbacks. */
void multi_hurry(multi *m);

#endif
