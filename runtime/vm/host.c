/* SPDX-License-Identifier: MIT
 * host.c -- tiny.h for the program around: whose thread it is, and what any thread may ask. */
#include "host.h"
#include "roll.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The runtime that this thread drives; it cannot have been freed, so this spares the roll. */
static _Thread_local const tiny *driven;

/* -- options ----------------------------------------------------------------- */

static int wrong(char *why, size_t why_size, const char *text) {
  snprintf(why, why_size, "%s", text);
  return -1;
}

static size_t count_libraries(const tiny_library *libraries) {
  size_t count = 0;
  while (libraries && libraries[count].name) count++;
  return count;
}

static int copy_libraries(tiny_host *host, const tiny_library *libraries, char *why,
                          size_t why_size) {
  size_t count = count_libraries(libraries);
  host->libraries = calloc(count + 1, sizeof *libraries);
  if (!host->libraries) return wrong(why, why_size, "not enough memory");
  for (size_t i = 0; i < count; i++) {
    if (!libraries[i].open) return wrong(why, why_size, "a library without its open function");
    host->libraries[i] = (tiny_library){strdup(libraries[i].name), libraries[i].open};
    if (!host->libraries[i].name) return wrong(why, why_size, "not enough memory");
  }
  return 0;
}

int tiny_host_init(tiny_host *host, const tiny_options *options, char *why, size_t why_size) {
  if (options->argc < 0 || (options->argc > 0 && !options->argv))
    return wrong(why, why_size, "argc without argv");
  host->data = options->data;
  host->forced = options->forced;
  return copy_libraries(host, options->libraries, why, why_size);
}

void tiny_host_fini(tiny_host *host) {
  for (size_t i = 0; host->libraries && host->libraries[i].name; i++)
    free((char *)host->libraries[i].name);
  free(host->libraries);
}

/* -- the loop's thread ---------------------------------------------------------- */

/* On the roll's lock: whether the caller may drive it. */
static int admit(tiny *rt, bool alone, bool *first) {
  tiny_host *host = &rt->host;
  if (host->over) return -ESHUTDOWN;
  if (alone && host->begun) return -EBUSY;
  if (host->begun && !pthread_equal(host->thread, pthread_self())) return -EPERM;
  *first = !host->begun;
  host->begun = true;
  host->thread = pthread_self();
  return 0;
}

int tiny_host_enter(tiny *rt, bool alone, bool *first) {
  *first = false;
  if (!rt) return -EINVAL;
  if (rt != driven || alone) {
    int rc = tiny_roll_enter(rt);
    if (rc != 0) return rc;
    rc = admit(rt, alone, first);
    tiny_roll_leave();
    if (rc != 0) return rc;
  }
  driven = rt;
  if (rt->host.turning) return -EBUSY;
  rt->host.turning = true;
  rt->host.stirred = false;
  if (rt->host.left_ns)
    rt->turn_at += uv_hrtime() - rt->host.left_ns; /* the host's own time is no lag */
  return 0;
}

void tiny_host_leave(tiny *rt) {
  rt->host.left_ns = uv_hrtime();
  rt->host.turning = false;
}

/* Nothing more is taken from here on, and what was is answered. */
void tiny_host_over(tiny *rt) {
  char text[64];
  tiny_roll_enter(rt);
  rt->host.over = true;
  tiny_roll_leave();
  driven = NULL;
  uv_run(&rt->loop, UV_RUN_NOWAIT);
  snprintf(text, sizeof text, "closed with exit code %d", rt->exit_code);
  for (tiny_ask *ask = rt->host.closers, *next; ask; ask = next) {
    next = ask->next;
    tiny_ask_done(ask, true, text);
  }
  rt->host.closers = NULL;
  rt->host.turning = false;
}

int tiny_host_check(tiny *rt) {
  if (rt && rt == driven) return 0;
  int rc = tiny_roll_enter(rt);
  if (rc != 0) return rc;
  if (rt->host.over)
    rc = -ESHUTDOWN;
  else if (!rt->host.begun)
    rc = -EAGAIN;
  else if (!pthread_equal(rt->host.thread, pthread_self()))
    rc = -EPERM;
  tiny_roll_leave();
  if (rc == 0) driven = rt;
  return rc;
}

int tiny_fd(tiny *rt) {
  int rc = tiny_roll_enter(rt);
  if (rc != 0) return rc;
  rc = uv_backend_fd(&rt->loop);
  tiny_roll_leave();
  return rc;
}

int tiny_timeout(tiny *rt) {
  if (tiny_host_check(rt) != 0 || rt->host.stirred || rt->finished) return 0;
  uv_update_time(&rt->loop);
  return uv_backend_timeout(&rt->loop);
}

int tiny_exit_code(tiny *rt) {
  int rc = tiny_roll_enter(rt);
  if (rc != 0) return rc;
  rc = rt->host.over ? rt->exit_code : -EBUSY;
  tiny_roll_leave();
  return rc;
}

/* -- what any thread may ask ------------------------------------------------------- */

/* What an ask carries for the host: whom to tell, or what to call. */
typedef struct errand {
  tiny *runtime;
  tiny_done done;
  void (*work)(tiny *runtime, void *data);
  void *data;
} errand;

static void on_answer(tiny_ask *ask, bool ok, const char *text) {
  errand *e = ask->data;
  if (e->work) e->work(e->runtime, e->data);
  if (e->done) e->done(e->data, ok, text);
  free(e);
}

static void on_call(tiny_ask *ask) { tiny_ask_done(ask, true, ""); }

static tiny_ask *new_ask(tiny_ask_kind kind, const errand *e) {
  tiny_ask *ask = tiny_ask_new(kind);
  if (!ask || (!e->done && !e->work)) return ask;
  ask->data = malloc(sizeof *e);
  if (!ask->data) {
    tiny_ask_done(ask, false, NULL);
    return NULL;
  }
  *(errand *)ask->data = *e;
  ask->answer = on_answer;
  ask->call = on_call;
  return ask;
}

/* Owns the ask. On the roll, so that the inbox is open: it closes after the runtime was taken off. */
static int post(tiny *rt, tiny_ask *ask) {
  int rc = tiny_roll_enter(rt);
  if (rc == 0 && rt->host.over) {
    tiny_roll_leave();
    rc = -ESHUTDOWN;
  }
  if (rc == 0) {
    tiny_inbox_post(rt->inbox, ask);
    tiny_roll_leave();
    return 0;
  }
  free(ask->data);
  ask->answer = NULL;
  tiny_ask_done(ask, false, NULL);
  return rc;
}

int tiny_reload(tiny *rt, tiny_done done, void *data) {
  tiny_ask *ask = new_ask(TINY_ASK_RELOAD, &(errand){.runtime = rt, .done = done, .data = data});
  return ask ? post(rt, ask) : -ENOMEM;
}

int tiny_close(tiny *rt, double delay, int code, tiny_done done, void *data) {
  if (!(delay >= 0) || code < 0 || code > 255) return -EINVAL;
  tiny_ask *ask = new_ask(TINY_ASK_CLOSE, &(errand){.runtime = rt, .done = done, .data = data});
  if (!ask) return -ENOMEM;
  ask->seconds = delay;
  ask->code = code;
  return post(rt, ask);
}

int tiny_post(tiny *rt, void (*work)(tiny *, void *), void *data) {
  if (!work) return -EINVAL;
  tiny_ask *ask = new_ask(TINY_ASK_CALL, &(errand){.runtime = rt, .work = work, .data = data});
  return ask ? post(rt, ask) : -ENOMEM;
}
