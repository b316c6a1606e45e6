/* SPDX-License-Identifier: MIT
 * test_watchdog.c -- the judgement, in a world with a clock of its own. */
#include "suite.h"
#include "watchdog.h"

#include <check.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

/* The world: what is true at each moment. Everything is a function of 'now'. */
static uint64_t now, looks;
static tiny_watchdog dog;
static uint64_t busy_from,
    busy_for; /* one stretch of Lua; its length grows while the process is stopped */
static uint64_t stop_at[8], stop_for; /* SIGSTOP ... SIGCONT, a debugger, a frozen VM */
static unsigned starved_percent;      /* of the time that the stretch wants */
static uint64_t starved;
static uint64_t report_every; /* of run; 0: there is none */
static uint64_t wake_late;    /* how late the control thread always is */
static bool excused;

static void world(uint64_t span) {
  dog = (tiny_watchdog){0};
  tiny_watchdog_span(&dog, span);
  now = 1000 * SECOND;
  looks = starved = busy_from = busy_for = stop_for = starved_percent = report_every = wake_late =
      0;
  for (int i = 0; i < 8; i++) stop_at[i] = 0;
  excused = false;
}

/* When one who wants to wake at 'at' really does. */
static uint64_t woken(uint64_t at) {
  for (int i = 0; i < 8; i++)
    if (stop_at[i] && at >= stop_at[i] && at < stop_at[i] + stop_for) return stop_at[i] + stop_for;
  return at;
}

/* The stretch ends once it has had 'busy_for' of not being stopped. */
static bool busy(void) {
  uint64_t had = 0;
  if (!busy_from || now < busy_from) return false;
  had = now - busy_from;
  for (int i = 0; i < 8; i++)
    if (stop_at[i] >= busy_from && stop_at[i] && now > stop_at[i])
      had -= now - stop_at[i] < stop_for ? now - stop_at[i] : stop_for;
  return had < busy_for;
}

static tiny_verdict look(uint64_t *next) {
  tiny_sight sight = {.now = now, .excused = excused, .starved = starved};
  if (busy()) sight.busy_since = busy_from;
  if (report_every) sight.run_sign = now - now % report_every;
  looks++;
  return tiny_watchdog_look(&dog, &sight, next);
}

/* Live until 'end' or a hang; the control thread sleeps as it is told to, unless it is stopped
 * too. */
static tiny_verdict live_until(uint64_t end) {
  uint64_t next;
  tiny_verdict verdict = look(&next);
  while (verdict == TINY_ALIVE && next < end) {
    uint64_t before = now;
    now = next + wake_late;
    now = woken(now);
    if (busy()) starved += (now - before) * starved_percent / 100;
    verdict = look(&next);
  }
  if (verdict == TINY_ALIVE && now < end) now = end;
  return verdict;
}

START_TEST(a_hang_is_seen_on_time_wherever_it_begins) {
  uint64_t spans[] = {SECOND, 2 * SECOND, 60 * SECOND};
  for (int s = 0; s < 3; s++) {
    for (int part = 0; part < 40; part++) {
      world(spans[s]);
      busy_from = now + spans[s] * 3 + spans[s] * (uint64_t)part / 40 + 7;
      busy_for = UINT64_MAX;
      ck_assert_int_eq(live_until(now + 20 * spans[s]), TINY_LOOP_HUNG);
      ck_assert_uint_ge(now, busy_from + spans[s]);
      ck_assert_uint_le(now, busy_from + spans[s] + 20 * MS);
    }
  }
}
END_TEST

START_TEST(idle_costs_two_looks_a_span) {
  world(10 * SECOND);
  ck_assert_int_eq(live_until(now + 1000 * SECOND), TINY_ALIVE);
  ck_assert_uint_le(looks, 202);
}
END_TEST

START_TEST(a_long_stretch_costs_a_few_more) {
  world(10 * SECOND);
  busy_from = now + 7 * SECOND;
  busy_for = UINT64_MAX;
  ck_assert_int_eq(live_until(now + 1000 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_le(looks, 10);
}
END_TEST

START_TEST(long_but_not_too_long_is_no_hang) {
  for (int part = 0; part < 40; part++) {
    world(10 * SECOND);
    busy_from = now + (uint64_t)part * SECOND / 4;
    busy_for = 9900 * MS;
    ck_assert_int_eq(live_until(now + 60 * SECOND), TINY_ALIVE);
  }
}
END_TEST

START_TEST(run_has_to_report_even_while_the_loop_turns) {
  world(10 * SECOND);
  report_every = 8 * SECOND;
  ck_assert_int_eq(live_until(now + 600 * SECOND), TINY_ALIVE);
  ck_assert_uint_le(looks, 310);
  report_every = 15 * SECOND;
  ck_assert_int_eq(live_until(now + 600 * SECOND), TINY_RUN_HUNG);
}
END_TEST

/* A stop may fall on any moment of a stretch that is well within the span. */
START_TEST(being_stopped_is_no_hang) {
  uint64_t lengths[] = {SECOND, 9 * SECOND, 30 * SECOND, 3600 * SECOND};
  for (int length = 0; length < 4; length++) {
    for (int at = 0; at < 100; at++) {
      world(10 * SECOND);
      busy_from = now + 3 * SECOND + (uint64_t)at * 77 * MS;
      busy_for = 4 * SECOND;
      stop_at[0] = busy_from + (uint64_t)at * 40 * MS;
      stop_for = lengths[length];
      ck_assert_int_eq(live_until(now + 5000 * SECOND), TINY_ALIVE);
    }
  }
}
END_TEST

START_TEST(being_stopped_again_and_again_is_no_hang) {
  for (int at = 0; at < 100; at++) {
    world(10 * SECOND);
    busy_from = now + (uint64_t)at * 100 * MS;
    busy_for = 3 * SECOND;
    stop_for = 9 * SECOND;
    for (int i = 0; i < 8; i++)
      stop_at[i] = busy_from + (uint64_t)i * (stop_for + 300 * MS) + 200 * MS;
    ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_ALIVE);
  }
}
END_TEST

START_TEST(a_run_that_was_stopped_is_no_hang) {
  for (int at = 0; at < 100; at++) {
    world(10 * SECOND);
    report_every = 4 * SECOND; /* by the wall: its reports are late by what it was stopped for */
    stop_at[0] = now + SECOND + (uint64_t)at * 100 * MS;
    stop_for = 900 * SECOND;
    ck_assert_int_eq(live_until(now + 2000 * SECOND), TINY_ALIVE);
  }
}
END_TEST

START_TEST(a_hang_after_a_stop_is_seen_all_the_same) {
  world(10 * SECOND);
  busy_from = now + 3 * SECOND;
  busy_for = UINT64_MAX / 4;
  stop_at[0] = busy_from + 2 * SECOND;
  stop_for = 100 * SECOND;
  ck_assert_int_eq(live_until(now + 1000 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_ge(now, stop_at[0] + stop_for);
  ck_assert_uint_le(now, stop_at[0] + stop_for + 10 * SECOND);
}
END_TEST

START_TEST(a_thread_without_a_cpu_is_not_hung) {
  world(10 * SECOND);
  busy_from = now + SECOND;
  busy_for = UINT64_MAX;
  starved_percent = 99;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_ALIVE);
  starved_percent = 50; /* a busy machine, but it runs */
  uint64_t from = now;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_le(now, from + 11 * SECOND);
}
END_TEST

START_TEST(a_control_thread_that_is_always_late_still_finds_it) {
  world(2 * SECOND);
  busy_from = now + SECOND;
  busy_for = UINT64_MAX;
  wake_late = 500 * MS;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_le(now, busy_from + 60 * SECOND);
}
END_TEST

START_TEST(nobody_is_blamed_while_excused_and_has_half_a_span_afterwards) {
  world(10 * SECOND);
  busy_from = now + SECOND;
  busy_for = UINT64_MAX;
  excused = true;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_ALIVE);
  excused = false;
  uint64_t from = now;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_ge(now, from + 5 * SECOND);
}
END_TEST

START_TEST(switched_off_it_never_looks_and_on_again_it_starts_afresh) {
  uint64_t next;
  world(0);
  busy_from = now;
  busy_for = UINT64_MAX;
  now += SECOND;
  ck_assert_int_eq(look(&next), TINY_ALIVE);
  ck_assert_uint_eq(next, UINT64_MAX);
  now += 1000 * SECOND;
  tiny_watchdog_span(&dog, 10 * SECOND);
  ck_assert_int_eq(look(&next), TINY_ALIVE);
  uint64_t from = now;
  ck_assert_int_eq(live_until(now + 300 * SECOND), TINY_LOOP_HUNG);
  ck_assert_uint_ge(now, from + 10 * SECOND);
}
END_TEST

START_TEST(the_kernel_tells_of_waiting_for_a_cpu) {
  int fd = tiny_watchdog_starved_open((int)syscall(SYS_gettid));
  if (fd < 0) return; /* a kernel without schedstats */
  uint64_t before = tiny_watchdog_starved(fd);
  sched_yield();
  ck_assert_uint_ge(tiny_watchdog_starved(fd), before);
  close(fd);
  ck_assert_uint_eq(tiny_watchdog_starved(-1), 0);
}
END_TEST

START_TEST(no_debugger_is_seen_where_none_is) { ck_assert(!tiny_watchdog_traced()); }
END_TEST

int main(void) {
  Suite *suite = suite_create("watchdog");
  TCase *c = tcase_create("watchdog");
  tcase_add_test(c, a_hang_is_seen_on_time_wherever_it_begins);
  tcase_add_test(c, idle_costs_two_looks_a_span);
  tcase_add_test(c, a_long_stretch_costs_a_few_more);
  tcase_add_test(c, long_but_not_too_long_is_no_hang);
  tcase_add_test(c, run_has_to_report_even_while_the_loop_turns);
  tcase_add_test(c, being_stopped_is_no_hang);
  tcase_add_test(c, being_stopped_again_and_again_is_no_hang);
  tcase_add_test(c, a_run_that_was_stopped_is_no_hang);
  tcase_add_test(c, a_hang_after_a_stop_is_seen_all_the_same);
  tcase_add_test(c, a_thread_without_a_cpu_is_not_hung);
  tcase_add_test(c, a_control_thread_that_is_always_late_still_finds_it);
  tcase_add_test(c, nobody_is_blamed_while_excused_and_has_half_a_span_afterwards);
  tcase_add_test(c, switched_off_it_never_looks_and_on_again_it_starts_afresh);
  tcase_add_test(c, the_kernel_tells_of_waiting_for_a_cpu);
  tcase_add_test(c, no_debugger_is_seen_where_none_is);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
