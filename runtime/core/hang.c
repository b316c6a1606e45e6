/* SPDX-License-Identifier: MIT
 * hang.c -- looking, reporting, interrupting, ending. */
#include "hang.h"
#include "watchdog.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint64_t MS = 1000000, SECOND = 1000000000;

enum {
  TEXT_SIZE = 8192,
  EXTEND_S = 30,          /* the service manager is told so much while starting, */
  EXTEND_EVERY_S = 10,    /* this often, */
  EXTEND_AT_MOST_S = 600, /* for so long */
  DOUBT_MS = 10,          /* between two looks at something that seems hung */
  FEED_MS = 100           /* for the feed to tell of a hang before the process ends */
};

struct tiny_hang {
  tiny_errand opening, closing;
  tiny_hang_parts parts;
  tiny_watchdog dog;
  uv_timer_t timer;
  int starved;                             /* fd, or -1 */
  uint64_t busy_before;                    /* at the last look */
  uint64_t opened_ns, extended_ns, fed_ns; /* what the service manager was told when */
  bool interrupt;
  uint64_t force_ms;
  char text[TEXT_SIZE];
};

typedef struct refresh {
  tiny_errand errand;
  tiny_hang *hang;
} refresh;

/* The service manager is to hear of a hang from us before it acts by itself. */
static void take_conf(tiny_hang *hang) {
  tiny_conf *conf = tiny_state_hold_conf(hang->parts.state);
  uint64_t span = tiny_conf_ns(conf, "svr.timer.run_status_check_time_span");
  uint64_t heard = tiny_notify_watchdog_ns(hang->parts.notify) / 2;
  if (heard && (!span || span > heard)) span = heard;
  hang->interrupt = tiny_conf_bool(conf, "svr.watchdog.interrupt");
  hang->force_ms = tiny_conf_ms(conf, "svr.close.force_close_delay");
  tiny_conf_drop(conf);
  if (span != hang->dog.span) tiny_watchdog_span(&hang->dog, span);
}

static tiny_sight see(tiny_hang *hang) {
  tiny_state *state = hang->parts.state;
  int phase = atomic_load(&state->phase);
  tiny_sight sight = {.starved = tiny_watchdog_starved(hang->starved)};
  sight.run_sign = atomic_load(&state->run_sign);
  sight.busy_since = atomic_load(&state->busy_since);
  sight.now = uv_hrtime(); /* last: no sign of life is later */
  sight.excused = phase == TINY_STARTING || phase == TINY_CLOSING || tiny_watchdog_traced();
  return sight;
}

/* From here on the process ends; on_except and on_close get 'force_ms'. */
static void report_loop(tiny_hang *hang, const tiny_sight *sight, uint64_t since) {
  const tiny_hang_parts *parts = &hang->parts;
  if (!parts->look(parts->data, hang->text, sizeof hang->text))
    snprintf(hang->text, sizeof hang->text, "no Lua runs");
  tiny_err(parts->log, "hung: no sign of life for %.1f s\n%s", (double)(sight->now - since) / 1e9,
           hang->text);
  tiny_state_hung(parts->state, since, hang->text);
  tiny_notify_status(parts->notify, "hung");
  tiny_control_deadline(parts->control, hang->interrupt ? hang->force_ms : FEED_MS);
  if (hang->interrupt) parts->interrupt(parts->data);
}

static void report_run(tiny_hang *hang) {
  tiny_control_deadline(hang->parts.control, hang->force_ms);
  hang->parts.run_hung(hang->parts.data);
}

static void extend_start(tiny_hang *hang, const tiny_sight *sight, uint64_t *next) {
  const uint64_t every = EXTEND_EVERY_S * SECOND;
  bool starting = atomic_load(&hang->parts.state->phase) == TINY_STARTING;
  if (!hang->parts.notify || !starting || sight->now - hang->opened_ns > EXTEND_AT_MOST_S * SECOND)
    return;
  if (sight->now >= hang->extended_ns + every) {
    hang->extended_ns = sight->now;
    tiny_notify_extend(hang->parts.notify, EXTEND_S * 1000);
  }
  if (*next > hang->extended_ns + every) *next = hang->extended_ns + every;
}

static void keep_alive(tiny_hang *hang, const tiny_sight *sight, uint64_t *next) {
  uint64_t every = tiny_notify_watchdog_ns(hang->parts.notify) / 4;
  if (!every) return;
  if (sight->now >= hang->fed_ns + every) {
    hang->fed_ns = sight->now;
    tiny_notify_alive(hang->parts.notify);
  }
  if (*next > hang->fed_ns + every) *next = hang->fed_ns + every;
}

static void look(uv_timer_t *timer);

static void look_again(tiny_hang *hang, const tiny_sight *sight, uint64_t next) {
  uv_update_time(hang->timer.loop);
  if (next != UINT64_MAX) uv_timer_start(&hang->timer, look, (next - sight->now + MS - 1) / MS, 0);
}

/* Returns whether there is no need to look any more. The loop may have come back while we were
 * judging, or be busy for a moment while run is to blame. */
static bool act(tiny_hang *hang, tiny_verdict verdict, const tiny_sight *sight) {
  if (verdict == TINY_ALIVE) return false;
  bool busy = sight->busy_since && sight->busy_since == hang->busy_before &&
              sight->busy_since == atomic_load(&hang->parts.state->busy_since);
  if (busy)
    report_loop(hang, sight, verdict == TINY_RUN_HUNG ? sight->run_sign : sight->busy_since);
  else if (verdict == TINY_RUN_HUNG && !sight->busy_since)
    report_run(hang);
  else
    return false;
  return true;
}

static void look(uv_timer_t *timer) {
  tiny_hang *hang = timer->data;
  uint64_t next;
  tiny_sight sight = see(hang);
  tiny_verdict verdict = tiny_watchdog_look(&hang->dog, &sight, &next);
  if (act(hang, verdict, &sight)) return;
  if (verdict != TINY_ALIVE) next = sight.now + DOUBT_MS * MS;
  hang->busy_before = sight.busy_since;
  keep_alive(hang, &sight, &next);
  extend_start(hang, &sight, &next);
  look_again(hang, &sight, next);
}

static void on_open(tiny_errand *errand) {
  tiny_hang *hang = (tiny_hang *)errand;
  uv_timer_init(tiny_control_loop(hang->parts.control), &hang->timer);
  hang->timer.data = hang;
  look(&hang->timer);
}

tiny_hang *tiny_hang_open(const tiny_hang_parts *parts) {
  tiny_hang *hang = calloc(1, sizeof *hang);
  if (!hang) return NULL;
  hang->parts = *parts;
  hang->starved = tiny_watchdog_starved_open((int)parts->thread);
  hang->opened_ns = uv_hrtime();
  hang->opening.run = on_open;
  tiny_control_send(parts->control, &hang->opening);
  return hang;
}

static void on_refresh(tiny_errand *errand) {
  tiny_hang *hang = ((refresh *)errand)->hang;
  free(errand);
  take_conf(hang);
  look(&hang->timer);
}

void tiny_hang_refresh(tiny_hang *hang) {
  refresh *r = calloc(1, sizeof *r);
  if (!r) return;
  *r = (refresh){{on_refresh, NULL}, hang};
  tiny_control_send(hang->parts.control, &r->errand);
}

static void on_closed(uv_handle_t *handle) {
  tiny_hang *hang = handle->data;
  if (hang->starved >= 0) close(hang->starved);
  free(hang);
}

static void on_close(tiny_errand *errand) {
  tiny_hang *hang = (tiny_hang *)((char *)errand - offsetof(tiny_hang, closing));
  uv_close((uv_handle_t *)&hang->timer, on_closed);
}

void tiny_hang_close(tiny_hang *hang) {
  hang->closing.run = on_close;
  tiny_control_send(hang->parts.control, &hang->closing);
}
