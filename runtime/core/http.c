/* SPDX-License-Identifier: MIT
 * http.c -- all HTTP connections of a runtime: their table, their deadlines, their turns. */
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES = 64, SWEEP_MS = 500 }; /* deadlines are looked at that often, at most */

/* -- turns ----------------------------------------------------------------- */

/* Empty a list; 'act' (NULL: nothing) may put them into one again. */
static void take_all(tiny_http_conn **list, void (*act)(tiny_http_conn *conn)) {
  tiny_http_conn *conn = *list, *later;
  *list = NULL;
  for (; conn; conn = later) {
    later = conn->later;
    conn->kicked = false;
    if (act) act(conn);
    tiny_http_drop(conn);
  }
}

static void on_idle(uv_idle_t *idle) {
  tiny_http *http = idle->data;
  take_all(&http->kicked, tiny_http_run);
  if (!http->kicked) uv_idle_stop(idle);
}

/* A connection is in one list at most: what waits is not run. */
static void put(tiny_http_conn **list, tiny_http_conn *conn) {
  conn->refs++;
  conn->kicked = true;
  conn->later = *list;
  *list = conn;
}

void tiny_http_kick(tiny_http_conn *conn) {
  tiny_http *http = conn->http;
  if (conn->kicked) return;
  if (!http->kicked) uv_idle_start(&http->idle, on_idle);
  put(&http->kicked, conn);
}

void tiny_http_wait(tiny_http_conn *conn) {
  if (!conn->kicked) put(&conn->http->waiting, conn);
}

/* -- deadlines ------------------------------------------------------------- */

static void on_sweep(uv_timer_t *timer);

static void arm(tiny_http *http, uint64_t due_ms) {
  uint64_t now = uv_now(http->harbour->loop);
  if (due_ms < now + SWEEP_MS) due_ms = now + SWEEP_MS;
  if (http->sweep_ms && http->sweep_ms <= due_ms) return;
  http->sweep_ms = due_ms;
  uv_timer_start(&http->sweep, on_sweep, due_ms - now, 0);
}

void tiny_http_due(tiny_http_conn *conn, uint32_t ms) {
  tiny_http *http = conn->http;
  conn->deadline_ms = ms ? uv_now(http->harbour->loop) + ms : 0;
  if (ms && (!http->sweep_ms || conn->deadline_ms < http->sweep_ms)) arm(http, conn->deadline_ms);
}

/* An idle connection to a port that is closed has nobody to talk to. */
static bool is_over(const tiny_http_conn *conn, uint64_t now) {
  if (conn->deadline_ms && conn->deadline_ms <= now) return true;
  return conn->phase == TINY_HTTP_HEAD && !tiny_http_server_of(conn);
}

static void on_sweep(uv_timer_t *timer) {
  tiny_http *http = timer->data;
  uint64_t now = uv_now(http->harbour->loop), first = 0;
  http->sweep_ms = 0;
  for (tiny_http_conn *conn = http->conns, *next; conn; conn = next) {
    next = conn->next;
    if (is_over(conn, now))
      tiny_http_expire(conn); /* frees no other */
    else if (conn->deadline_ms && (!first || conn->deadline_ms < first))
      first = conn->deadline_ms;
  }
  if (first) arm(http, first);
}

/* -- the table ------------------------------------------------------------- */

static int grow(tiny_http *http) {
  uint32_t count = http->slot_count ? http->slot_count * 2 : 64;
  tiny_http_slot *slots = realloc(http->slots, count * sizeof *slots);
  if (!slots) return UV_ENOMEM;
  for (uint32_t i = http->slot_count; i < count; i++) slots[i] = (tiny_http_slot){NULL, i + 1};
  http->slots = slots;
  http->slot_count = count;
  return 0;
}

int tiny_http_list(tiny_http *http, tiny_http_conn *conn) {
  if (http->free_slot == http->slot_count && grow(http) != 0) return UV_ENOMEM;
  conn->slot = http->free_slot;
  http->free_slot = http->slots[conn->slot].next_free;
  http->slots[conn->slot].conn = conn;
  conn->next = http->conns;
  if (http->conns) http->conns->prev = conn;
  http->conns = conn;
  return 0;
}

void tiny_http_unlist(tiny_http_conn *conn) {
  tiny_http *http = conn->http;
  http->slots[conn->slot] = (tiny_http_slot){NULL, http->free_slot};
  http->free_slot = conn->slot;
  if (conn->prev)
    conn->prev->next = conn->next;
  else
    http->conns = conn->next;
  if (conn->next) conn->next->prev = conn->prev;
}

tiny_http_conn *tiny_http_busy(tiny_http *http, uint32_t slot, uint64_t serial) {
  tiny_http_conn *conn = slot < http->slot_count ? http->slots[slot].conn : NULL;
  return conn && conn->phase == TINY_HTTP_BUSY && conn->serial == serial ? conn : NULL;
}

/* -- heads, used again ----------------------------------------------------- */

static void free_request(tiny_http_request *request) {
  free(request->text);
  free(request);
}

tiny_http_request *tiny_http_request_new(tiny_http *http, size_t size) {
  tiny_http_request *request = http->spare;
  if (request) {
    http->spare = request->next;
    http->spares--;
  } else {
    request = calloc(1, sizeof *request);
    if (!request) return NULL;
  }
  if (request->room >= size) return request;
  size_t room = size < 512 ? 512 : size;
  free(request->text);
  request->text = malloc(room);
  request->room = request->text ? room : 0;
  if (request->text) return request;
  free_request(request);
  return NULL;
}

void tiny_http_request_free(tiny_http *http, tiny_http_request *request) {
  if (http->spares == SPARES) {
    free_request(request);
    return;
  }
  request->next = http->spare;
  http->spare = request;
  http->spares++;
}

/* -- the whole ------------------------------------------------------------- */

tiny_http *tiny_http_open(tiny_harbour *harbour, const tiny_http_hooks *hooks) {
  tiny_http *http = calloc(1, sizeof *http);
  if (!http) return NULL;
  http->harbour = harbour;
  http->hooks = hooks;
  http->handles = 2;
  http->flows = !harbour->claims.held;
  uv_idle_init(harbour->loop, &http->idle);
  uv_timer_init(harbour->loop, &http->sweep);
  http->idle.data = http->sweep.data = http;
  return http;
}

static void on_closed(uv_handle_t *handle) {
  tiny_http *http = handle->data;
  if (--http->handles > 0) return;
  while (http->spare) {
    tiny_http_request *request = http->spare;
    http->spare = request->next;
    free_request(request);
  }
  free(http->slots);
  free(http);
}

void tiny_http_close(tiny_http *http) {
  if (!http) return;
  while (http->conns) tiny_http_end(http->conns);
  take_all(&http->kicked, NULL);
  take_all(&http->waiting, NULL);
  uv_close((uv_handle_t *)&http->idle, on_closed);
  uv_close((uv_handle_t *)&http->sweep, on_closed);
}

void tiny_http_flow(tiny_http *http, bool flows) {
  http->flows = flows;
  if (!flows) return;
  http->stops = false; /* another term */
  take_all(&http->waiting, tiny_http_kick);
  if (http->conns) arm(http, 0); /* perhaps a port is no longer served */
}

/* What waits has not begun, and never will. */
void tiny_http_stop(tiny_http *http) {
  http->stops = true;
  tiny_http_flow(http, false);
  for (tiny_http_conn *conn = http->conns, *next; conn; conn = next) {
    next = conn->next;
    if (conn->phase < TINY_HTTP_BUSY) tiny_http_end(conn);
  }
}

bool tiny_http_is_sending(const tiny_http *http) {
  for (const tiny_http_conn *conn = http->conns; conn; conn = conn->next)
    if (conn->phase == TINY_HTTP_FLUSH || conn->phase == TINY_HTTP_LINGER) return true;
  return false;
}

void tiny_http_server_init(tiny_http_server *server, tiny_http *http) {
  server->acceptor.accept = tiny_http_accept;
  server->acceptor.context = http;
}
