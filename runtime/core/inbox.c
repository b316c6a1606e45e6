/* SPDX-License-Identifier: MIT
 * inbox.c -- a locked list of asks and the async handle that wakes the loop for them. */
#include "inbox.h"

#include <pthread.h>
#include <stdlib.h>

struct tiny_inbox {
  uv_async_t async;
  void (*take)(void *data, tiny_ask *ask);
  void *data;

  pthread_mutex_t lock; /* guards all below, and sending on 'async' before it is closed */
  tiny_ask *first, **last;
  size_t count;
  bool reload; /* a reload that nobody waits for is in the list */
  bool closed;
};

tiny_ask *tiny_ask_new(tiny_ask_kind kind) {
  tiny_ask *ask = calloc(1, sizeof *ask);
  if (ask) ask->kind = kind;
  return ask;
}

void tiny_ask_done(tiny_ask *ask, bool ok, const char *text) {
  if (ask->answer) ask->answer(ask, ok, text);
  free(ask->text);
  free(ask);
}

static bool is_bare_reload(const tiny_ask *ask) {
  return ask->kind == TINY_ASK_RELOAD && !ask->answer;
}

/* Under the lock. */
static tiny_ask *unlink_at(tiny_inbox *inbox, tiny_ask **link) {
  tiny_ask *ask = *link;
  *link = ask->next;
  if (!*link) inbox->last = link;
  inbox->count--;
  if (is_bare_reload(ask)) inbox->reload = false;
  ask->next = NULL;
  return ask;
}

static tiny_ask *pop(tiny_inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  tiny_ask *ask = inbox->first ? unlink_at(inbox, &inbox->first) : NULL;
  pthread_mutex_unlock(&inbox->lock);
  return ask;
}

bool tiny_inbox_withdraw(tiny_inbox *inbox, const void *data) {
  pthread_mutex_lock(&inbox->lock);
  tiny_ask **link = &inbox->first;
  while (*link && (*link)->data != data) link = &(*link)->next;
  tiny_ask *ask = *link ? unlink_at(inbox, link) : NULL;
  pthread_mutex_unlock(&inbox->lock);
  if (ask) ask->answer = NULL;
  if (ask) tiny_ask_done(ask, false, NULL);
  return ask != NULL;
}

/* Asks that are posted from now on wake the loop again: so those who ask for
 * more from inside an ask cannot keep it here. */
static void on_async(uv_async_t *async) {
  tiny_inbox *inbox = async->data;
  pthread_mutex_lock(&inbox->lock);
  size_t count = inbox->count;
  pthread_mutex_unlock(&inbox->lock);
  for (tiny_ask *ask; count > 0 && (ask = pop(inbox)); count--) inbox->take(inbox->data, ask);
}

tiny_inbox *tiny_inbox_open(uv_loop_t *loop, void (*take)(void *data, tiny_ask *ask), void *data) {
  tiny_inbox *inbox = calloc(1, sizeof *inbox);
  if (!inbox) return NULL;
  if (uv_async_init(loop, &inbox->async, on_async) != 0) {
    free(inbox);
    return NULL;
  }
  inbox->async.data = inbox;
  inbox->take = take;
  inbox->data = data;
  inbox->last = &inbox->first;
  pthread_mutex_init(&inbox->lock, NULL);
  return inbox;
}

/* Under the lock. */
static void append(tiny_inbox *inbox, tiny_ask *ask) {
  ask->next = NULL;
  *inbox->last = ask;
  inbox->last = &ask->next;
  inbox->count++;
  if (is_bare_reload(ask)) inbox->reload = true;
  uv_async_send(&inbox->async);
}

void tiny_inbox_post(tiny_inbox *inbox, tiny_ask *ask) {
  pthread_mutex_lock(&inbox->lock);
  bool closed = inbox->closed;
  bool merged = !closed && inbox->reload && is_bare_reload(ask);
  if (!closed && !merged) append(inbox, ask);
  pthread_mutex_unlock(&inbox->lock);
  if (closed || merged) tiny_ask_done(ask, false, "closed");
}

void tiny_inbox_call(tiny_inbox *inbox, void (*call)(tiny_ask *ask), void *data) {
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  if (!ask) return;
  ask->call = call;
  ask->data = data;
  tiny_inbox_post(inbox, ask);
}

void tiny_inbox_close(tiny_inbox *inbox) {
  pthread_mutex_lock(&inbox->lock);
  inbox->closed = true;
  pthread_mutex_unlock(&inbox->lock);
  uv_close((uv_handle_t *)&inbox->async, NULL);
  for (tiny_ask *ask; (ask = pop(inbox));) tiny_ask_done(ask, false, "closed");
}

void tiny_inbox_free(tiny_inbox *inbox) {
  pthread_mutex_destroy(&inbox->lock);
  free(inbox);
}
