/* SPDX-License-Identifier: MIT
 * election.c -- leading, and what others ask of it. */
#include "election_parts.h"

#include <stdlib.h>
#include <string.h>

enum { GRACE_MS = 100, RESIGN_MS = 1000 };

/* -- trouble --------------------------------------------------------------- */

static void note_trouble(tiny_election *e, const char *message) {
  if (!e->troubled) tiny_warn(e->parts.log, "etcd: %s", message);
  e->troubled = true;
}

void tiny_election_answered(tiny_election *e) {
  if (e->troubled) tiny_info(e->parts.log, "etcd answers again");
  e->troubled = false;
}

void tiny_election_failed(tiny_election *e, tiny_talk *t, const char *message) {
  note_trouble(e, message);
  tiny_talk_pause(t, e->lease_ms / 12);
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

void tiny_election_lose(tiny_election *e, const char *reason, bool gone) {
  tiny_talk_hush(&e->watching);
  tiny_talk_hush(&e->leasing);
  uv_timer_stop(&e->deadline);
  if (!gone) memcpy(e->stale, e->lease, sizeof e->stale);
  e->lease[0] = 0;
  if (e->active) depose(e, reason);
  tiny_talk_go_on(&e->leasing, 0);
}

static void on_deadline(uv_timer_t *timer) {
  tiny_election *e = timer->data;
  uint64_t now = tiny_talk_now();
  if (now >= e->lease_until_ns)
    tiny_election_lose(e, "timeout", false);
  else
    uv_timer_start(timer, on_deadline, (e->lease_until_ns - now) / MS + 1, 0);
}

/* We count from when that was asked for: after a long stop it may be over too. */
void tiny_election_take_lease(tiny_election *e) {
  tiny_election_answered(e);
  e->leasing.pause_ms = 0;
  e->lease_until_ns = e->leasing.sent_ns + e->lease_ms * MS / 10 * 9;
  if (e->active) atomic_store(&e->parts.lead->until_ns, e->lease_until_ns);
  tiny_talk_go_on(&e->leasing, e->lease_ms / 3);
  on_deadline(&e->deadline);
}

void tiny_election_win(tiny_election *e, uint64_t token) {
  if (tiny_talk_now() >= e->lease_until_ns) return; /* the deadline is about to tell */
  e->active = true;
  e->token = token;
  atomic_store(&e->parts.lead->until_ns, e->lease_until_ns);
  e->parts.elected(e->parts.data, token);
}

/* -- from outside ---------------------------------------------------------- */

static void open_timer(tiny_election *e, uv_timer_t *timer) {
  uv_timer_init(e->parts.loop, timer);
  timer->data = e;
}

static void open_talk(tiny_election *e, tiny_talk *t, void (*go_on)(void *)) {
  tiny_talk_open(t, e->parts.loop, e->parts.plugin, &e->etcd, e, go_on);
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
  open_talk(e, &e->leasing, tiny_election_tend_lease);
  open_talk(e, &e->watching, tiny_election_tend_keys);
  open_timer(e, &e->deadline);
  open_timer(e, &e->guard);
  tiny_talk_go_on(&e->leasing, 0);
  return e;
}

/* What is under way is asked again of the new ones. */
void tiny_election_settle(tiny_election *e, const tiny_etcd_settings *settings, uint64_t ttl_ms) {
  tiny_etcd *etcd = e->parts.plugin->open(e->parts.loop, settings);
  if (!etcd) return;
  tiny_talk_hush(&e->leasing);
  tiny_talk_hush(&e->watching);
  e->parts.plugin->close(e->etcd);
  e->etcd = etcd;
  e->ttl_ms = ttl_ms;
  tiny_talk_go_on(&e->leasing, 0);
  tiny_talk_go_on(&e->watching, 0);
}

void tiny_election_stand(tiny_election *e) {
  uv_timer_stop(&e->guard);
  e->candidate = true;
  if (*e->lease) tiny_talk_go_on(&e->watching, 0);
}

void tiny_election_introduce(tiny_election *e) {
  e->introduced = false;
  tiny_talk_hush(&e->watching);
  tiny_talk_go_on(&e->watching, 0);
}

const char *tiny_election_lease(const tiny_election *e) { return e->lease; }

void tiny_election_step_down(tiny_election *e) {
  if (e->active) tiny_election_lose(e, "timeout", false);
}

static void tell_resigned(tiny_election *e) {
  void (*resigned)(void *) = e->resigned;
  e->resigned = NULL;
  if (resigned) resigned(e->resigned_data);
}

static void on_resigned(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  (void)code, (void)message;
  tell_resigned(e);
}

static void nothing(void *data) { (void)data; }

void tiny_election_resign(tiny_election *e, void (*done)(void *data), void *data) {
  uint64_t ms = e->lease_ms / 4 < RESIGN_MS ? e->lease_ms / 4 : RESIGN_MS;
  const char *lease = *e->lease ? e->lease : e->stale;
  tiny_talk_hush(&e->watching);
  tiny_talk_hush(&e->leasing);
  uv_timer_stop(&e->deadline);
  uv_timer_stop(&e->guard);
  e->active = e->candidate = false;
  atomic_store(&e->parts.lead->until_ns, 0);
  e->resigned = done;
  e->resigned_data = data;
  e->leasing.go_on = nothing;
  if (*lease)
    tiny_talk_ask(&e->leasing, "/v3/lease/revoke", json_pack("{s:s}", "ID", lease), ms,
                  on_resigned);
  if (!e->leasing.call) tell_resigned(e);
}

static void on_part_closed(void *data) {
  tiny_election *e = data;
  if (--e->open > 0) return;
  tiny_election_keys_free(&e->keys);
  free(e);
}

static void on_timer_closed(uv_handle_t *handle) { on_part_closed(handle->data); }

void tiny_election_close(tiny_election *e) {
  e->open = 4;
  tiny_talk_close(&e->leasing, on_part_closed);
  tiny_talk_close(&e->watching, on_part_closed);
  uv_close((uv_handle_t *)&e->deadline, on_timer_closed);
  uv_close((uv_handle_t *)&e->guard, on_timer_closed);
  e->parts.plugin->close(e->etcd);
}
