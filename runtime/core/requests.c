/* SPDX-License-Identifier: MIT
 * requests.c -- one function for each thing that can be asked for. */
#include "requests.h"

#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  LOOK_MS = 100,        /* how often those who wait are looked at */
  EVAL_GRACE_MS = 2000, /* for the loop thread to end an eval whose time is up */
  EVAL_LONGEST = 86400, /* seconds */
  PROFILE_LONGEST = 600,
  TEXT_SIZE = 16384
};

/* One who waits for the loop thread, or for the closing. */
typedef struct waiter {
  tiny_errand errand; /* first: brings the loop thread's answer here */
  tiny_requests *requests;
  struct waiter *next;
  tiny_client *client; /* NULL once it was told */
  tiny_ask_kind kind;
  uint64_t asked_ns, timeout_ns;
  json_t *answer; /* the loop thread's */
} waiter;

struct tiny_requests {
  const tiny_control_parts *parts;
  tiny_control *control;
  uv_timer_t look, sampling;
  tiny_client *profiler; /* who has asked for the profile that is being taken; NULL: nobody */
  waiter *waiting;
};

static void tell(waiter *w, bool ok, const char *text) {
  if (w->client) tiny_client_tell(w->client, ok, text);
  w->client = NULL;
}

static void forget(waiter *w) {
  waiter **link = &w->requests->waiting;
  while (*link != w) link = &(*link)->next;
  *link = w->next;
  json_decref(w->answer);
  free(w);
}

/* How long Lua has kept the loop from turning, in seconds; 0 when it waits for events. */
static double busy_for(const tiny_state *state) {
  uint64_t since = atomic_load(&state->busy_since), now = uv_hrtime();
  return since != 0 && now > since ? (double)(now - since) / 1e9 : 0;
}

/* Take the ask back before the loop thread comes to it, and say why. */
static bool refuse(waiter *w, const char *text) {
  if (!tiny_inbox_withdraw(w->requests->parts->inbox, w)) return false;
  tell(w, false, text);
  forget(w);
  return true;
}

static void refuse_busy(waiter *w) {
  char text[80];
  double busy = busy_for(w->requests->parts->state);
  snprintf(text, sizeof text, "busy: Lua has been running for %.1f s", busy);
  if (!refuse(w, text) && uv_hrtime() - w->asked_ns > w->timeout_ns + EVAL_GRACE_MS * 1000000ull)
    tell(w, false, text);
}

void tiny_requests_refuse_reload(const tiny_control_parts *parts) {
  tiny_err(parts->log, "reload refused: hung");
  tiny_state_reloaded(parts->state, false, "refused: hung");
}

static void look_at(waiter *w) {
  const tiny_control_parts *parts = w->requests->parts;
  bool hung = tiny_state_is_hung(parts->state);
  if (w->kind == TINY_ASK_EVAL || w->kind == TINY_ASK_STACK) {
    if (hung || uv_hrtime() - w->asked_ns > w->timeout_ns) refuse_busy(w);
  } else if (w->kind == TINY_ASK_RELOAD && hung && refuse(w, "refused: hung")) {
    tiny_requests_refuse_reload(parts);
  }
}

static void on_look(uv_timer_t *look) {
  tiny_requests *requests = look->data;
  for (waiter *w = requests->waiting, *next; w; w = next) {
    next = w->next;
    look_at(w);
  }
  if (!requests->waiting) uv_timer_stop(look);
}

/* Returns NULL when out of memory; the client is told then. */
static waiter *wait_for(tiny_requests *requests, tiny_client *client, tiny_ask_kind kind) {
  waiter *w = calloc(1, sizeof *w);
  if (!w) {
    tiny_client_tell(client, false, "out of memory");
    return NULL;
  }
  w->requests = requests;
  w->client = client;
  w->kind = kind;
  w->asked_ns = uv_hrtime();
  w->next = requests->waiting;
  requests->waiting = w;
  if (!uv_is_active((uv_handle_t *)&requests->look))
    uv_timer_start(&requests->look, on_look, LOOK_MS, LOOK_MS);
  return w;
}

static void on_answered(tiny_errand *errand) {
  waiter *w = (waiter *)errand;
  if (w->client) {
    tiny_client_answer(w->client, w->answer);
    w->answer = NULL;
  }
  forget(w);
}

/* On the loop thread. */
static void on_answer(tiny_ask *ask, bool ok, const char *text) {
  waiter *w = ask->data;
  w->answer = json_pack("{s:b,s:o}", "ok", ok, "text", tiny_utf8_json(text));
  w->errand.run = on_answered;
  tiny_control_send(w->requests->control, &w->errand);
}

static void post(waiter *w, const char *text, double seconds) {
  tiny_ask *ask = tiny_ask_new(w->kind);
  if (ask && text) ask->text = strdup(text);
  if (!ask || (text && !ask->text)) {
    free(ask);
    tell(w, false, "out of memory");
    forget(w);
    return;
  }
  ask->seconds = seconds;
  ask->answer = on_answer;
  ask->data = w;
  tiny_inbox_post(w->requests->parts->inbox, ask);
}

static void status(tiny_requests *requests, tiny_client *client, const json_t *request) {
  (void)request;
  json_t *info = tiny_state_info(requests->parts->state);
  tiny_client_answer(client, json_pack("{s:b,s:o}", "ok", 1, "info", info));
}

static void reload(tiny_requests *requests, tiny_client *client, const json_t *request) {
  (void)request;
  if (tiny_state_is_hung(requests->parts->state)) {
    tiny_requests_refuse_reload(requests->parts);
    tiny_client_tell(client, false, "refused: hung");
    return;
  }
  waiter *w = wait_for(requests, client, TINY_ASK_RELOAD);
  if (w) post(w, NULL, 0);
}

static void close_server(tiny_requests *requests, tiny_client *client, const json_t *request) {
  (void)request;
  if (wait_for(requests, client, TINY_ASK_CLOSE)) tiny_control_begin_close(requests->control);
}

static void loglevel(tiny_requests *requests, tiny_client *client, const json_t *request) {
  const char *name = json_string_value(json_object_get(request, "level"));
  const char *sink = json_string_value(json_object_get(request, "sink"));
  tiny_level level;
  char text[160];
  bool known = name && tiny_level_parse(name, &level) == 0;
  bool ok = known && tiny_log_set_level(requests->parts->log, sink, level, text, sizeof text) == 0;
  if (!known)
    snprintf(text, sizeof text, "unknown level \"%.40s\": it is DEBUG, INFO, WARN or ERROR",
             name ? name : "");
  else if (ok)
    snprintf(text, sizeof text, "%s: %s until the next reload", sink ? sink : "all sinks",
             tiny_level_name(level));
  tiny_client_tell(client, ok, text);
}

static void eval(tiny_requests *requests, tiny_client *client, const json_t *request) {
  const char *code = json_string_value(json_object_get(request, "code"));
  const json_t *given = json_object_get(request, "timeout");
  double timeout = given ? json_number_value(given) : 1;
  if (!code || !(timeout > 0 && timeout <= EVAL_LONGEST)) {
    tiny_client_tell(client, false,
                     "eval needs \"code\", and a \"timeout\" of more than 0 s and at most a day");
    return;
  }
  waiter *w = wait_for(requests, client, TINY_ASK_EVAL);
  if (!w) return;
  w->timeout_ns = (uint64_t)(timeout * 1e9);
  post(w, code, timeout);
}

/* Lua may come to rest just after the look; then what waits is what there is to tell. */
static void stack(tiny_requests *requests, tiny_client *client, const json_t *request) {
  const tiny_control_parts *parts = requests->parts;
  char text[TEXT_SIZE];
  (void)request;
  if (parts->look && parts->look(parts->data, text, sizeof text)) {
    tiny_client_tell(client, true, text);
    return;
  }
  waiter *w = wait_for(requests, client, TINY_ASK_STACK);
  if (!w) return;
  w->timeout_ns = 1000000000;
  post(w, NULL, 0);
}

static void end_profile(tiny_requests *requests) {
  tiny_client *client = requests->profiler;
  if (!client) return;
  requests->profiler = NULL;
  char *text = requests->parts->profiled(requests->parts->data);
  if (text) tiny_utf8_mend(text, strlen(text));
  tiny_client_tell(client, text != NULL, text ? text : "out of memory");
  free(text);
}

static void on_sampled(uv_timer_t *timer) { end_profile(timer->data); }

static void profile(tiny_requests *requests, tiny_client *client, const json_t *request) {
  const tiny_control_parts *parts = requests->parts;
  const json_t *given = json_object_get(request, "seconds");
  double seconds = given ? json_number_value(given) : 5;
  if (!(seconds > 0 && seconds <= PROFILE_LONGEST)) {
    tiny_client_tell(client, false, "profile needs \"seconds\", more than 0 and at most 600");
  } else if (requests->profiler) {
    tiny_client_tell(client, false, "a profile is being taken already");
  } else if (!parts->profile || !parts->profile(parts->data)) {
    tiny_client_tell(client, false,
                     "compiled Lua cannot be interrupted here, so not sampled either");
  } else {
    requests->profiler = client;
    uv_timer_start(&requests->sampling, on_sampled, (uint64_t)(seconds * 1000) + 1, 0);
  }
}

static const struct {
  const char *name;
  void (*take)(tiny_requests *requests, tiny_client *client, const json_t *request);
} known[] = {
    {"status", status}, {"reload", reload}, {"close", close_server}, {"loglevel", loglevel},
    {"eval", eval},     {"stack", stack},   {"profile", profile},
};

void tiny_requests_take(void *requests, tiny_client *client, const json_t *request) {
  const char *name = json_string_value(json_object_get(request, "do"));
  for (size_t i = 0; name && i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i].name) != 0) continue;
    known[i].take(requests, client, request);
    return;
  }
  char text[80];
  snprintf(text, sizeof text, "unknown request \"%.40s\"", name ? name : "");
  tiny_client_tell(client, false, text);
}

tiny_requests *tiny_requests_open(tiny_control *control, const tiny_control_parts *parts) {
  tiny_requests *requests = calloc(1, sizeof *requests);
  if (!requests) return NULL;
  requests->parts = parts;
  requests->control = control;
  requests->look.data = requests->sampling.data = requests;
  uv_timer_init(tiny_control_loop(control), &requests->look);
  uv_timer_init(tiny_control_loop(control), &requests->sampling);
  return requests;
}

static void tell_closed(waiter *w, bool forced) {
  const char *text = forced ? "closing had to be forced" : "closed";
  tiny_client_answer(w->client,
                     json_pack("{s:b,s:s,s:b}", "ok", !forced, "text", text, "forced", forced));
  forget(w);
}

void tiny_requests_closed(tiny_requests *requests, bool forced) {
  end_profile(requests);
  static const char over[] = "the server has closed";
  for (waiter *w = requests->waiting, *next; w; w = next) {
    next = w->next;
    if (w->kind == TINY_ASK_CLOSE)
      tell_closed(w, forced);
    else if (!refuse(w, over))
      tell(w, false, over);
  }
}

void tiny_requests_close(tiny_requests *requests) {
  uv_close((uv_handle_t *)&requests->look, NULL);
  uv_close((uv_handle_t *)&requests->sampling, NULL);
}

void tiny_requests_free(tiny_requests *requests) { free(requests); }
