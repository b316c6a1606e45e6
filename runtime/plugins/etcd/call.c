/* SPDX-License-Identifier: MIT
 * call.c -- the life of a call, and what it is answered. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 16 << 20 }; /* bytes of an answer: etcd's own limit is far below */

/* -- its life -------------------------------------------------------------- */

tiny_etcd_call *call_new(tiny_etcd *e, const tiny_etcd_ask *ask) {
  tiny_etcd_call *call = calloc(1, sizeof *call);
  char *body = json_dumps(ask->body, JSON_COMPACT);
  json_decref(ask->body);
  if (call) call->path = strdup(ask->path);
  if (!call || !call->path || !body) {
    if (call) free(call->path);
    free(call);
    free(body);
    return NULL;
  }
  call->etcd = e;
  call->ask = *ask;
  call->body = body;
  call->next = e->calls;
  if (e->calls) e->calls->prev = call;
  e->calls = call;
  return call;
}

void call_stop(tiny_etcd_call *call) {
  if (call->easy) {
    curl_multi_remove_handle(multi_handle(call->etcd->multi), call->easy);
    curl_easy_cleanup(call->easy);
  }
  curl_slist_free_all(call->headers);
  free(call->token);
  call->easy = NULL;
  call->headers = NULL;
  call->token = NULL;
  call->used = 0;
}

static void unlist(tiny_etcd_call *call) {
  tiny_etcd *e = call->etcd;
  if (call->prev)
    call->prev->next = call->next;
  else
    e->calls = call->next;
  if (call->next) call->next->prev = call->prev;
  if (e->login == call) e->login = NULL;
}

static void call_free(tiny_etcd_call *call) {
  call_stop(call);
  free(call->path);
  free(call->body);
  free(call->bytes);
  free(call);
}

void call_cancel(tiny_etcd_call *call) {
  if (call->ended) return;
  call->ended = true;
  unlist(call);
  call_stop(call);
  if (!call->busy) call_free(call);
}

/* The last that its owner hears of it. */
void call_finish(tiny_etcd_call *call, int code, const char *message) {
  tiny_etcd_ask ask = call->ask;
  char text[256];
  snprintf(text, sizeof text, "%s", message);
  call->ended = true;
  unlist(call);
  call_free(call);
  ask.end(ask.data, code, text);
}

/* -- its answer ------------------------------------------------------------ */

size_t call_on_bytes(char *bytes, size_t size, size_t count, void *data) {
  tiny_etcd_call *call = data;
  size_t more = size * count;
  if (call->used + more > LARGEST) return 0;
  if (call->used + more > call->room) {
    size_t room = 2 * (call->used + more);
    char *grown = realloc(call->bytes, room);
    if (!grown) return 0;
    call->bytes = grown;
    call->room = room;
  }
  memcpy(call->bytes + call->used, bytes, more);
  call->used += more;
  call->fresh = call->answered = true;
  return more;
}

long call_status(const tiny_etcd_call *call) {
  long status = 0;
  if (call->easy) curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/* Returns false when the call is over. */
static bool give_line(tiny_etcd_call *call, const char *line, size_t size) {
  json_t *json = json_loadb(line, size, 0, NULL);
  if (!json) return true; /* an empty line, or nothing of etcd's */
  call->busy = true;
  if (call->ask.line) call->ask.line(call->ask.data, json);
  call->busy = false;
  json_decref(json);
  if (!call->ended) return true;
  call_free(call);
  return false;
}

bool call_give_lines(tiny_etcd_call *call, bool all) {
  size_t from = 0;
  call->fresh = false;
  while (from < call->used) {
    const char *line = call->bytes + from, *end = memchr(line, '\n', call->used - from);
    if (!end && !all) break;
    size_t size = end ? (size_t)(end - line) : call->used - from;
    from += end ? size + 1 : size;
    if (!give_line(call, line, size)) return false;
  }
  memmove(call->bytes, call->bytes + from, call->used - from);
  call->used -= from;
  return true;
}

tiny_etcd_call *call_fresh(const tiny_etcd *e) {
  tiny_etcd_call *call = e->calls;
  while (call && !(call->fresh && call_status(call) < 400)) call = call->next;
  return call;
}
