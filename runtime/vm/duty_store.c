/* SPDX-License-Identifier: MIT
 * duty_store.c -- a checkpoint's way to etcd, which is the control thread's, and back. */
#include "duty_parts.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct trip {
  tiny_errand errand;
  tiny_duty *duty;
  uint64_t token;
  char *text;
  int rc;
  char why[256];
  void (*kept)(void *data, int rc, const char *why);
  void (*fetched)(void *data, int rc, char *text);
  void *data;
} trip;

static void on_return(tiny_ask *ask) {
  trip *t = ask->data;
  if (t->kept) t->kept(t->data, t->rc, t->why);
  if (t->fetched) t->fetched(t->data, t->rc, t->text);
  free(t);
  tiny_ask_done(ask, true, "");
}

static void return_trip(trip *t, int rc, const char *why) {
  t->rc = rc;
  snprintf(t->why, sizeof t->why, "%s", why);
  tiny_inbox_call(t->duty->runtime->inbox, on_return, t);
}

static void on_kept(void *data, int rc, const char *why) { return_trip(data, rc, why); }

static void on_fetched(void *data, int rc, const char *text) {
  trip *t = data;
  t->text = text ? strdup(text) : NULL;
  return_trip(t, text && !t->text ? -ENOMEM : rc, "");
}

static void keep(tiny_errand *sent) {
  trip *t = (trip *)sent;
  char *text = t->text;
  t->text = NULL;
  if (t->duty->store) {
    tiny_store_put(t->duty->store, t->token, text, on_kept, t);
    return;
  }
  free(text);
  return_trip(t, -ENOMEM, "not enough memory");
}

static void fetch(tiny_errand *sent) {
  trip *t = (trip *)sent;
  if (t->duty->store)
    tiny_store_get(t->duty->store, on_fetched, t);
  else
    return_trip(t, -ENOMEM, "not enough memory");
}

void tiny_duty_keep(tiny_duty *d, char *text, void (*done)(void *data, int rc, const char *why),
                    void *data) {
  trip *t = calloc(1, sizeof *t);
  if (!t) {
    free(text);
    done(data, -ENOMEM, "not enough memory");
    return;
  }
  *t = (trip){{keep, NULL}, d, d->token, text, 0, "", done, NULL, data};
  tiny_control_send(d->runtime->control, &t->errand);
}

void tiny_duty_fetch(tiny_duty *d, void (*done)(void *data, int rc, char *text), void *data) {
  trip *t = calloc(1, sizeof *t);
  if (!t) {
    done(data, -ENOMEM, NULL);
    return;
  }
  *t = (trip){{fetch, NULL}, d, d->token, NULL, 0, "", NULL, done, data};
  tiny_control_send(d->runtime->control, &t->errand);
}
