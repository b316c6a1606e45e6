/* SPDX-License-Identifier: MIT
 * election.c -- a lease that is kept alive, and the keys of the cluster that are watched: two
 * conversations with etcd, each of one request at a time. */
#include "election.h"

#include "election_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MS = 50, GRACE_MS = 100, RESIGN_MS = 1000 };

static const uint64_t MS = 1000000;

typedef struct talk {
  tiny_election *election;
  void (*go_on)(tiny_election *election);
  uv_timer_t timer; /* when to go on */
  tiny_etcd_call *call;
  json_t *answer;
  void (*then)(tiny_election *election, int code, const char *message);
  uint64_t sent_ns, pause_ms;
} talk;

struct tiny_election {
  tiny_election_parts parts;
  tiny_etcd *etcd;
  tiny_election_keys keys;
  uint64_t ttl_ms, lease_ms; /* as configured, as granted */
  char lease[TINY_LEASE];    /* ours; "" while there is none */
  char stale[TINY_LEASE];    /* one that may still live and has to go first */
  uint64_t lease_until_ns;
  bool candidate, active, withheld;
  bool troubled; /* and that was told */
  uint64_t token, revision;
  talk leasing, watching;
  uv_timer_t deadline, guard;
  int open; /* handles */
  void (*resigned)(void *data);
  void *resigned_data;
};

/* -- talking --------------------------------------------------------------- */

static void on_line(void *data, const json_t *line) {
  talk *t = data;
  json_decref(t->answer);
  t->answer = json_incref((json_t *)(uintptr_t)line);
}

static void on_end(void *data, int code, const char *message) {
  talk *t = data;
  t->call = NULL;
  t->then(t->election, code, message);
}

static void hush(tiny_election *e, talk *t) {
  uv_timer_stop(&t->timer);
  if (t->call) e->parts.plugin->cancel(t->call);
  json_decref(t->answer);
  t->call = NULL;
  t->answer = NULL;
}

static void on_timer(uv_timer_t *timer) {
  talk *t = timer->data;
  t->go_on(t->election);
}

static void go_on_in(talk *t, uint64_t ms) {
  uv_update_time(t->timer.loop);
  uv_timer_start(&t->timer, on_timer, ms, 0);
}

/* Twice as long each time, but often enough to come through before the lease runs out. */
static void pause_and_go_on(tiny_election *e, talk *t) {
  uint64_t longest = e->lease_ms / 12;
  go_on_in(t, t->pause_ms);
  t->pause_ms = 2 * t->pause_ms < longest ? 2 * t->pause_ms : longest;
  if (t->pause_ms < PAUSE_MS) t->pause_ms = PAUSE_MS;
}

static void ask_for(tiny_election *e, talk *t, const char *path, json_t *body, uint64_t timeout_ms,
                    void (*line)(void *, const json_t *),
                    void (*then)(tiny_election *, int, const char *)) {
  tiny_etcd_ask ask = {path, body, timeout_ms, line, on_end, t};
  hush(e, t);
  t->then = then;
  t->sent_ns = tiny_lead_now();
  t->call = e->parts.plugin->ask(e->etcd, &ask);
  if (!t->call) pause_and_go_on(e, t);
}

static void ask(tiny_election *e, talk *t, const char *path, json_t *body,
                void (*then)(tiny_election *, int, const char *)) {
  ask_for(e, t, path, body, e->lease_ms / 4, on_line, then);
}

static void note_trouble(tiny_election *e, const char *message) {
  if (!e->troubled) tiny_warn(e->parts.log, "etcd: %s", message);
  e->troubled = true;
}

static void note_answer(tiny_election *e) {
  if (e->troubled) tiny_info(e->parts.log, "etcd answers again");
  e->troubled = false;
}

/* -- leading ---------------------------------------------------------------- */

static bool acting(const tiny_election *e) { return atomic_load(&e->parts.lead->acting); }

static void on_guard(uv_timer_t *timer) {
  tiny_election *e = timer->data;
  if (acting(e)) e->parts.stuck(e->parts.data);
}

/* The grace is counted from now, not from the deadline: who was stopped and goes on gets it too. */
static void depose(tiny_election *e, const char *reason) {
  uint64_t grace = e->lease_ms / 20;
  e->active = e->candidate = false;
  atomic_store(&e->parts.lead->until_ns, 0);
  uv_update_time(e->parts.loop);
  uv_timer_start(&e->guard, on_guard, grace > GRACE_MS ? grace : GRACE_MS, 0);
  e->parts.deposed(e->parts.data, reason);
}

/* The lease is not ours any more, or has to be thought so. */
static void lose(tiny_election *e, const char *reason, bool gone) {
  hush(e, &e->watching);
  hush(e, &e->leasing);
  uv_timer_stop(&e->deadline);
  if (!gone) memcpy(e->stale, e->lease, sizeof e->stale);
  e->lease[0] = 0;
  if (e->active) depose(e, reason);
  go_on_in(&e->leasing, 0);
}

static void on_deadline(uv_timer_t *timer) {
  tiny_election *e = timer->data;
  uint64_t now = tiny_lead_now();
  if (now >= e->lease_until_ns)
    lose(e, "timeout", false);
  else
    uv_timer_start(timer, on_deadline, (e->lease_until_ns - now) / MS + 1, 0);
}

/* It lives on: we count from when that was asked for. After a long stop that may be over too. */
static void take_lease(tiny_election *e) {
  note_answer(e);
  e->leasing.pause_ms = PAUSE_MS;
  e->lease_until_ns = e->leasing.sent_ns + e->lease_ms * MS / 10 * 9;
  if (e->active) atomic_store(&e->parts.lead->until_ns, e->lease_until_ns);
  go_on_in(&e->leasing, e->lease_ms / 3);
  on_deadline(&e->deadline);
}

static void become_active(tiny_election *e, uint64_t token) {
  if (tiny_lead_now() >= e->lease_until_ns) return; /* the deadline is about to tell */
  e->active = true;
  e->token = token;
  atomic_store(&e->parts.lead->until_ns, e->lease_until_ns);
  e->parts.elected(e->parts.data, token);
}

/* -- the lease ------------------------------------------------------------- */

static void failed(tiny_election *e, talk *t, const char *message) {
  note_trouble(e, message);
  pause_and_go_on(e, t);
}

static void on_revoked(tiny_election *e, int code, const char *message) {
  if (code != TINY_ETCD_OK && code != TINY_ETCD_NOT_FOUND) {
    failed(e, &e->leasing, message);
    return;
  }
  e->stale[0] = 0;
  go_on_in(&e->leasing, 0);
}

static void on_granted(tiny_election *e, int code, const char *message) {
  const char *id = json_string_value(json_object_get(e->leasing.answer, "ID"));
  uint64_t ttl = tiny_election_number(e->leasing.answer, "TTL");
  if (code != TINY_ETCD_OK || !id || ttl == 0) {
    failed(e, &e->leasing, code ? message : "no lease was granted");
    return;
  }
  snprintf(e->lease, sizeof e->lease, "%s", id);
  e->lease_ms = ttl * 1000;
  go_on_in(&e->watching, 0);
  take_lease(e);
}

/* Of a lease that has ended the answer is as good as any, but for its TTL. */
static void on_kept_alive(tiny_election *e, int code, const char *message) {
  const json_t *result = json_object_get(e->leasing.answer, "result");
  if (code != TINY_ETCD_OK && code != TINY_ETCD_NOT_FOUND) {
    failed(e, &e->leasing, message);
  } else if (tiny_election_number(result, "TTL") == 0) {
    lose(e, "lease", true);
  } else {
    take_lease(e);
  }
}

/* A loop that is silent must not be led on by a thread that is not. */
static bool withhold(tiny_election *e) {
  bool silent = e->parts.silence_ns(e->parts.data) > e->lease_ms * MS / 2;
  bool now = silent && acting(e);
  if (now && !e->withheld) e->parts.silent(e->parts.data);
  e->withheld = now;
  return now;
}

static json_t *with_id(const char *lease) { return json_pack("{s:s}", "ID", lease); }

static json_t *grant_request(const tiny_election *e) {
  char ttl[24];
  snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)(e->ttl_ms + 999) / 1000);
  return json_pack("{s:s}", "TTL", ttl);
}

/* While the loop thread still acts nothing is done that could make another the active sooner. */
static void tend_lease(tiny_election *e) {
  talk *t = &e->leasing;
  if (!*e->lease && acting(e))
    go_on_in(t, PAUSE_MS);
  else if (*e->stale)
    ask(e, t, "/v3/lease/revoke", with_id(e->stale), on_revoked);
  else if (!*e->lease)
    ask(e, t, "/v3/lease/grant", grant_request(e), on_granted);
  else if (withhold(e))
    go_on_in(t, e->lease_ms / 12);
  else
    ask(e, t, "/v3/lease/keepalive", with_id(e->lease), on_kept_alive);
}

/* -- the keys -------------------------------------------------------------- */

/* One that ends as soon as it begins is not asked for again and again. */
static void end_watch(tiny_election *e) {
  talk *t = &e->watching;
  hush(e, t);
  if (tiny_lead_now() - t->sent_ns > e->lease_ms * MS / 4) t->pause_ms = PAUSE_MS;
  pause_and_go_on(e, t);
}

static void on_watch_end(tiny_election *e, int code, const char *message) {
  (void)code, (void)message;
  end_watch(e);
}

static void on_watch_line(void *data, const json_t *line) {
  talk *t = data;
  const json_t *result = json_object_get(line, "result");
  if (!result || json_is_true(json_object_get(result, "canceled"))) {
    end_watch(t->election);
  } else if (json_object_get(result, "events")) {
    hush(t->election, t);
    go_on_in(t, 0);
  }
}

static void watch(tiny_election *e) {
  ask_for(e, &e->watching, "/v3/watch", tiny_election_watch(&e->keys, e->revision + 1), e->lease_ms,
          on_watch_line, on_watch_end);
}

/* Looked at again, so that the watch begins behind our own change: one that has to catch up is late. */
static void on_joined(tiny_election *e, int code, const char *message) {
  if (code == TINY_ETCD_NOT_FOUND)
    lose(e, "lease", true);
  else if (code != TINY_ETCD_OK)
    failed(e, &e->watching, message);
  else
    go_on_in(&e->watching, 0);
}

/* A campaign whose answer was lost may have been won. */
static void judge(tiny_election *e, const tiny_election_view *view) {
  bool ours = strcmp(view->active, e->lease) == 0;
  if (e->active && (!ours || view->token != e->token))
    lose(e, "deposed", false);
  else if (!e->active && ours && e->candidate)
    become_active(e, view->token);
}

static void take(tiny_election *e, tiny_election_view *view) {
  e->revision = view->revision;
  e->parts.members(e->parts.data, json_incref(view->members));
  judge(e, view);
  if (!*e->lease) return;
  if (view->joined)
    watch(e);
  else
    ask(e, &e->watching, "/v3/kv/put", tiny_election_join(&e->keys, e->lease, e->parts.identity),
        on_joined);
}

static void on_looked(tiny_election *e, int code, const char *message) {
  tiny_election_view view;
  if (code == TINY_ETCD_NOT_FOUND) {
    lose(e, "lease", true);
    return;
  }
  if (code != TINY_ETCD_OK || !e->watching.answer) {
    failed(e, &e->watching, message);
    return;
  }
  note_answer(e);
  tiny_election_read(&e->keys, e->watching.answer, e->lease, &view);
  if (view.won) {
    become_active(e, view.revision);
    go_on_in(&e->watching, 0); /* to see who else is there */
  } else {
    take(e, &view);
  }
  json_decref(view.members);
}

static void tend_keys(tiny_election *e) {
  bool may = e->candidate && !e->active;
  if (!*e->lease) return;
  if (may && e->parts.silence_ns(e->parts.data) < e->lease_ms * MS / 2)
    ask(e, &e->watching, "/v3/kv/txn",
        tiny_election_campaign(&e->keys, e->lease, e->parts.identity), on_looked);
  else
    ask(e, &e->watching, "/v3/kv/range", tiny_election_look(&e->keys), on_looked);
}

/* -- from outside ---------------------------------------------------------- */

static void open_timer(tiny_election *e, uv_timer_t *timer, void *data) {
  uv_timer_init(e->parts.loop, timer);
  timer->data = data;
}

static void open_talk(tiny_election *e, talk *t, void (*go_on)(tiny_election *)) {
  t->election = e;
  t->go_on = go_on;
  t->pause_ms = PAUSE_MS;
  open_timer(e, &t->timer, t);
}

tiny_election *tiny_election_open(const tiny_election_parts *parts,
                                  const tiny_etcd_settings *settings, uint64_t ttl_ms) {
  tiny_election *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->parts = *parts;
  e->ttl_ms = e->lease_ms = ttl_ms;
  if (tiny_election_keys_make(&e->keys, parts->name) == 0)
    e->etcd = parts->plugin->open(parts->loop, settings);
  if (!e->etcd) {
    tiny_election_keys_free(&e->keys);
    free(e);
    return NULL;
  }
  open_talk(e, &e->leasing, tend_lease);
  open_talk(e, &e->watching, tend_keys);
  open_timer(e, &e->deadline, e);
  open_timer(e, &e->guard, e);
  go_on_in(&e->leasing, 0);
  return e;
}

/* What is under way is asked again of the new ones. */
void tiny_election_settle(tiny_election *e, const tiny_etcd_settings *settings, uint64_t ttl_ms) {
  tiny_etcd *etcd = e->parts.plugin->open(e->parts.loop, settings);
  if (!etcd) return;
  hush(e, &e->leasing);
  hush(e, &e->watching);
  e->parts.plugin->close(e->etcd);
  e->etcd = etcd;
  e->ttl_ms = ttl_ms;
  go_on_in(&e->leasing, 0);
  go_on_in(&e->watching, 0);
}

void tiny_election_stand(tiny_election *e) {
  uv_timer_stop(&e->guard);
  e->candidate = true;
  if (*e->lease) go_on_in(&e->watching, 0);
}

void tiny_election_step_down(tiny_election *e) {
  if (e->active) lose(e, "timeout", false);
}

static void tell_resigned(tiny_election *e) {
  void (*resigned)(void *) = e->resigned;
  e->resigned = NULL;
  if (resigned) resigned(e->resigned_data);
}

static void on_resigned(tiny_election *e, int code, const char *message) {
  (void)code, (void)message;
  tell_resigned(e);
}

static void nothing(tiny_election *e) { (void)e; }

void tiny_election_resign(tiny_election *e, void (*done)(void *data), void *data) {
  uint64_t ms = e->lease_ms / 4 < RESIGN_MS ? e->lease_ms / 4 : RESIGN_MS;
  const char *lease = *e->lease ? e->lease : e->stale;
  hush(e, &e->watching);
  hush(e, &e->leasing);
  uv_timer_stop(&e->deadline);
  uv_timer_stop(&e->guard);
  e->active = e->candidate = false;
  atomic_store(&e->parts.lead->until_ns, 0);
  e->resigned = done;
  e->resigned_data = data;
  e->leasing.go_on = nothing;
  if (*lease) ask_for(e, &e->leasing, "/v3/lease/revoke", with_id(lease), ms, on_line, on_resigned);
  if (!e->leasing.call) tell_resigned(e);
}

static void on_closed(uv_handle_t *handle) {
  tiny_election *e = handle->data;
  if (--e->open > 0) return;
  tiny_election_keys_free(&e->keys);
  free(e);
}

static void close_timer(tiny_election *e, uv_timer_t *timer) {
  timer->data = e;
  e->open++;
  uv_close((uv_handle_t *)timer, on_closed);
}

void tiny_election_close(tiny_election *e) {
  hush(e, &e->leasing);
  hush(e, &e->watching);
  e->parts.plugin->close(e->etcd);
  close_timer(e, &e->leasing.timer);
  close_timer(e, &e->watching.timer);
  close_timer(e, &e->deadline);
  close_timer(e, &e->guard);
}
