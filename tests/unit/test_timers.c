/* SPDX-License-Identifier: MIT
 * test_timers.c -- the wheel, on a clock of its own: years pass in a moment. */
#include "suite.h"
#include "timers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define YEAR   (365 * 86400 * SECOND)

/* These two stand before the C library's. The fd becomes readable at once, and the clock is
 * put forward to the time it was set to just before the loop waits. 0: the real clock. */
static uint64_t clock_ns, wake_ns;
static int wakes;

int clock_gettime(clockid_t id, struct timespec *t) {
  if (!clock_ns || id != CLOCK_MONOTONIC) return (int)syscall(SYS_clock_gettime, id, t);
  *t = (struct timespec){(time_t)(clock_ns / SECOND), (long)(clock_ns % SECOND)};
  return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
  struct itimerspec soon = {{0, 0}, {0, 1}};
  uint64_t wait = (uint64_t) new->it_value.tv_sec *SECOND + (uint64_t) new->it_value.tv_nsec;
  if (clock_ns) wake_ns = wait ? clock_ns + wait : 0;
  return (int)syscall(SYS_timerfd_settime, fd, flags, clock_ns && wait ? &soon : new, old);
}

static uv_loop_t loop;
static tiny_timers *timers;

static void turn(void) {
  wakes++;
  if (wake_ns > clock_ns) clock_ns = wake_ns;
  uv_run(&loop, UV_RUN_ONCE);
}

static void run_all(void) {
  while (tiny_timers_pending(timers)) turn();
}

/* Check itself looks at the clock, and minds when years have passed. */
static void end_of_time(void) { clock_ns = 0; }

/* What has fired: the words, in order. */
static uint64_t *fired;
static size_t fired_count, fired_size;
static uint64_t fired_at;

static void note(uint64_t word) {
  if (fired_count == fired_size) {
    fired_size = fired_size ? fired_size * 2 : 64;
    fired = realloc(fired, fired_size * sizeof *fired);
  }
  fired[fired_count++] = word;
}

static void on_due(void *data, tiny_due id, uint64_t word, uint64_t now) {
  ck_assert_ptr_eq(data, timers);
  ck_assert(!tiny_timers_remove(timers, id)); /* it is over */
  fired_at = now;
  note(word);
}

static void setup(void) {
  clock_ns = 0;
  clock_ns = tiny_timers_now(); /* never behind the real one: Check measures with both */
  wake_ns = wakes = 0;
  fired_count = 0;
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  timers = tiny_timers_open(&loop);
  ck_assert_ptr_nonnull(timers);
  tiny_timers_handle(timers, TINY_DUE_CALL, on_due, timers);
}

/* Every test ends by proving that nothing is left open. */
static void teardown(void) {
  clock_ns = 0;
  if (timers) tiny_timers_close(timers);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  free(fired);
  fired = NULL;
  fired_size = 0;
}

static tiny_due add(uint64_t due_ns, uint64_t word) {
  tiny_due id = tiny_timers_add(timers, due_ns, TINY_DUE_CALL, word);
  ck_assert_uint_ne(id, 0);
  ck_assert_uint_lt(id, UINT64_C(1) << 53);
  return id;
}

START_TEST(a_due_time_fires_once_and_not_before_its_time) {
  uint64_t due = clock_ns + 25 * MS;
  add(due, 7);
  ck_assert_uint_eq(tiny_timers_pending(timers), 1);
  run_all();
  ck_assert_uint_eq(fired_count, 1);
  ck_assert_uint_eq(fired[0], 7);
  ck_assert_uint_ge(fired_at, due);
  ck_assert_uint_lt(fired_at, due + 1 * MS);
  ck_assert_int_eq(wakes, 1);
}
END_TEST

START_TEST(a_due_time_on_the_real_clock_comes_true) {
  clock_ns = 0;
  uint64_t start = tiny_timers_now();
  add(start + 20 * MS, 1);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_uint_eq(fired_count, 1);
  ck_assert_uint_ge(tiny_timers_now(), start + 20 * MS);
}
END_TEST

START_TEST(with_nothing_pending_the_loop_has_nothing_to_wait_for) {
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  tiny_due id = add(clock_ns + YEAR, 1);
  ck_assert(uv_loop_alive(&loop));
  tiny_timers_remove(timers, id);
  ck_assert(!uv_loop_alive(&loop));
}
END_TEST

START_TEST(a_removed_one_does_not_fire) {
  tiny_due id = add(clock_ns + 5 * MS, 1);
  add(clock_ns + 6 * MS, 2);
  tiny_timers_remove(timers, id);
  run_all();
  ck_assert_uint_eq(fired_count, 1);
  ck_assert_uint_eq(fired[0], 2);
}
END_TEST

START_TEST(ids_that_are_over_do_no_harm) {
  tiny_due old = add(clock_ns + 1 * MS, 1);
  run_all();
  tiny_timers_remove(timers, old);
  tiny_due young = add(clock_ns + 1 * MS, 2); /* the same node again */
  ck_assert_uint_eq((uint32_t)old, (uint32_t)young);
  tiny_timers_remove(timers, old);
  tiny_timers_remove(timers, 0);
  tiny_timers_remove(timers, 1);
  tiny_timers_remove(timers, young + 1);
  tiny_timers_remove(timers, UINT64_MAX);
  ck_assert_uint_eq(tiny_timers_pending(timers), 1);
  tiny_timers_remove(timers, young);
  tiny_timers_remove(timers, young);
  ck_assert_uint_eq(tiny_timers_pending(timers), 0);
}
END_TEST

START_TEST(a_node_that_is_nobodys_is_never_removed_whatever_the_id) {
  tiny_due id = add(clock_ns + 1 * MS, 1);
  tiny_timers_remove(timers, id);
  for (uint64_t tag = 0; tag < 1 << 15; tag++) tiny_timers_remove(timers, tag << 32 | (uint32_t)id);
  add(clock_ns + 1 * MS, 2);
  add(clock_ns + 1 * MS, 3);
  run_all();
  ck_assert_uint_eq(fired_count, 2);
}
END_TEST

START_TEST(one_that_is_already_due_fires_in_the_next_turn) {
  add(clock_ns - 5 * SECOND, 1);
  add(0, 2);
  turn();
  ck_assert_uint_eq(fired_count, 2);
}
END_TEST

static void on_due_again(void *data, tiny_due id, uint64_t word, uint64_t now) {
  on_due(data, id, word, now);
  if (word) tiny_timers_add(timers, now, TINY_DUE_TIMER, word - 1);
}

START_TEST(one_that_a_handler_adds_already_due_leaves_the_loop_its_turn) {
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due_again, timers);
  tiny_timers_add(timers, 0, TINY_DUE_TIMER, 3);
  for (size_t n = 1; n <= 4; n++) {
    turn();
    ck_assert_uint_eq(fired_count, n);
  }
  ck_assert_uint_eq(tiny_timers_pending(timers), 0);
}
END_TEST

static tiny_due victim;

static void on_due_kill(void *data, tiny_due id, uint64_t word, uint64_t now) {
  on_due(data, id, word, now);
  tiny_timers_remove(timers, victim);
}

START_TEST(a_handler_can_remove_one_that_is_due_with_it) {
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due_kill, timers);
  tiny_due self = tiny_timers_add(timers, clock_ns + MS, TINY_DUE_TIMER, 1);
  victim = add(clock_ns + MS, 2);
  add(clock_ns + MS, 3);
  run_all();
  ck_assert_uint_eq(fired_count, 2);
  ck_assert_uint_eq(fired[1], 3);
  victim = self = tiny_timers_add(timers, clock_ns + MS, TINY_DUE_TIMER, 4);
  run_all(); /* removes itself while it fires */
  ck_assert_uint_eq(fired_count, 3);
}
END_TEST

static void on_due_close(void *data, tiny_due id, uint64_t word, uint64_t now) {
  on_due(data, id, word, now);
  tiny_timers_close(timers);
  timers = NULL;
}

START_TEST(a_handler_can_close_and_nothing_fires_after_it) {
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due_close, timers);
  tiny_timers_add(timers, clock_ns + MS, TINY_DUE_TIMER, 1);
  add(clock_ns + MS, 2);
  turn();
  ck_assert_uint_eq(fired_count, 1);
}
END_TEST

START_TEST(equal_due_times_fire_in_the_order_of_adding) {
  uint64_t due = clock_ns + 3 * 3600 * SECOND;
  for (uint64_t i = 0; i < 500; i++) {
    add(due, i);
    if (i % 50 == 0) { /* come nearer, so that they enter at all levels */
      add(clock_ns + 1000 * SECOND, 1000);
      turn();
    }
  }
  run_all();
  uint64_t expected = 0;
  for (size_t i = 0; i < fired_count; i++)
    if (fired[i] != 1000) ck_assert_uint_eq(fired[i], expected++);
  ck_assert_uint_eq(expected, 500);
  end_of_time();
}
END_TEST

static uint32_t soon[4];

static void on_due_look_ahead(void *data, tiny_due id, uint64_t word, uint64_t now) {
  (void)data, (void)id, (void)now;
  soon[fired_count] = tiny_timers_soon(timers);
  note(word);
}

START_TEST(the_one_after_the_next_is_told_while_one_fires) {
  uint32_t ids[4];
  tiny_timers_handle(timers, TINY_DUE_TASK, on_due_look_ahead, NULL);
  for (int i = 0; i < 4; i++)
    ids[i] = (uint32_t)tiny_timers_add(timers, clock_ns + SECOND, TINY_DUE_TASK, (uint64_t)i);
  run_all();
  ck_assert_uint_eq(soon[0], ids[2]);
  ck_assert_uint_eq(soon[1], ids[3]);
  ck_assert_uint_eq(soon[2], 0);
  ck_assert_uint_eq(soon[3], 0);
  end_of_time();
}
END_TEST

START_TEST(due_times_decades_away_fire_and_wake_nobody_before) {
  add(clock_ns + 40 * YEAR, 1);
  add(clock_ns + 7 * 86400 * SECOND, 2);
  add(UINT64_MAX, 3);
  turn();
  ck_assert_uint_eq(fired[0], 2);
  turn();
  ck_assert_uint_eq(fired[1], 1);
  ck_assert_uint_eq(tiny_timers_pending(timers), 1);
  end_of_time();
}
END_TEST

START_TEST(the_precision_groups_wake_ups) {
  tiny_timers_precision(timers, 50 * MS);
  for (uint64_t i = 0; i < 1000; i++) add(clock_ns + i * MS / 10, i); /* over 100 ms */
  run_all();
  ck_assert_uint_eq(fired_count, 1000);
  ck_assert_int_le(wakes, 4);
  ck_assert_uint_eq(tiny_timers_round(timers, 1), 50 * MS);
  ck_assert_uint_eq(tiny_timers_round(timers, 50 * MS), 50 * MS);
}
END_TEST

START_TEST(a_change_of_precision_loses_nothing_and_keeps_the_order) {
  for (uint64_t i = 0; i < 1000; i++) add(clock_ns + i * 700 * MS, i);
  uint64_t spans[] = {10 * MS, MS / 50, 3 * MS, 0, 500 * MS};
  for (int i = 0; i < 5; i++) {
    tiny_timers_precision(timers, spans[i]);
    turn();
  }
  run_all();
  ck_assert_uint_eq(fired_count, 1000);
  for (uint64_t i = 0; i < 1000; i++) ck_assert_uint_eq(fired[i], i);
}
END_TEST

START_TEST(held_ones_wait_keep_their_order_and_can_be_removed) {
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due, timers);
  tiny_timers_hold(timers, TINY_DUE_TIMER, true);
  tiny_due gone = 0;
  for (uint64_t i = 0; i < 5; i++) {
    tiny_due id = tiny_timers_add(timers, clock_ns + i * MS, TINY_DUE_TIMER, i);
    if (i == 3) gone = id;
  }
  add(clock_ns + 20 * MS, 100);
  while (fired_count == 0) turn();
  ck_assert_uint_eq(fired[0], 100); /* the other kinds go on */
  ck_assert_uint_eq(tiny_timers_pending(timers), 5);
  ck_assert(tiny_timers_remove(timers, gone));
  tiny_timers_hold(timers, TINY_DUE_TIMER, false);
  turn();
  uint64_t expected[] = {100, 0, 1, 2, 4};
  ck_assert_uint_eq(fired_count, 5);
  for (int i = 0; i < 5; i++) ck_assert_uint_eq(fired[i], expected[i]);
}
END_TEST

START_TEST(a_kind_can_be_forgotten_by_its_word) {
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due, timers);
  for (uint64_t i = 0; i < 100; i++) {
    tiny_timers_add(timers, clock_ns + i * SECOND, TINY_DUE_TIMER, i % 2);
    add(clock_ns + i * SECOND, i % 2);
  }
  tiny_timers_forget(timers, TINY_DUE_TIMER, 1);
  ck_assert_uint_eq(tiny_timers_pending(timers), 150);
  tiny_timers_forget(timers, TINY_DUE_CALL, 0);
  tiny_timers_forget(timers, TINY_DUE_CALL, 1);
  run_all();
  ck_assert_uint_eq(fired_count, 50);
  for (int i = 0; i < 50; i++) ck_assert_uint_eq(fired[i], 0);
}
END_TEST

static int checks;
static void on_check(uv_check_t *check) {
  (void)check;
  checks++;
}

START_TEST(a_crowd_that_is_due_at_once_lets_io_through) {
  static uv_check_t check;
  uv_check_init(&loop, &check);
  uv_check_start(&check, on_check);
  checks = 0;
  for (uint64_t i = 0; i < 50000; i++) add(clock_ns + MS, i);
  run_all();
  ck_assert_int_gt(checks, 10);
  for (uint64_t i = 0; i < 50000; i++) ck_assert_uint_eq(fired[i], i);
  uv_close((uv_handle_t *)&check, NULL);
}
END_TEST

START_TEST(a_million_can_be_pending) {
  enum { N = 1000000 };
  tiny_due *ids = malloc(N * sizeof *ids);
  for (uint64_t i = 0; i < N; i++) ids[i] = add(clock_ns + i * 997 % N / 10 * MS, i);
  ck_assert_uint_eq(tiny_timers_pending(timers), N);
  for (uint64_t i = 0; i < N; i += 2) tiny_timers_remove(timers, ids[i]);
  free(ids);
  ck_assert_uint_eq(tiny_timers_pending(timers), N / 2);
  run_all();
  ck_assert_uint_eq(fired_count, N / 2);
  uint64_t last = 0;
  for (size_t i = 0; i < fired_count; i++) {
    uint64_t due = fired[i] * 997 % N / 10;
    ck_assert(fired[i] % 2 == 1 && due >= last);
    last = due;
  }
}
END_TEST

/* Against a plain list: random times of every magnitude, removals, changes of precision. */

typedef struct row {
  uint64_t due;
  tiny_due id;
  int state; /* 0: none, 1: pending, 2: fired, 3: removed */
} row;

enum { ROWS = 20000 };
static row rows[ROWS];
static uint64_t last_due;

static void on_due_row(void *data, tiny_due id, uint64_t word, uint64_t now) {
  (void)data;
  ck_assert_uint_eq(rows[word].id, id);
  ck_assert_int_eq(rows[word].state, 1);
  ck_assert_uint_ge(now, rows[word].due);
  ck_assert_uint_ge(rows[word].due, last_due);
  last_due = rows[word].due;
  rows[word].state = 2;
}

static uint64_t earliest_row(void) {
  uint64_t earliest = UINT64_MAX;
  for (int i = 0; i < ROWS; i++)
    if (rows[i].state == 1 && rows[i].due < earliest) earliest = rows[i].due;
  return earliest;
}

static uint64_t random_wait(void) {
  uint64_t wait = 1 + (uint64_t)rand() % 1000;
  for (int zeros = rand() % 6; zeros > 0; zeros--) wait *= 32;
  return wait * MS / 4;
}

START_TEST(it_agrees_with_a_plain_list) {
  memset(rows, 0, sizeof rows);
  last_due = 0;
  srand(20260329 + _i);
  tiny_timers_handle(timers, TINY_DUE_TIMER, on_due_row, NULL);
  for (int i = 0; i < ROWS; i++) {
    uint64_t due = tiny_timers_round(timers, clock_ns + random_wait());
    rows[i] = (row){due, tiny_timers_add(timers, due, TINY_DUE_TIMER, (uint64_t)i), 1};
    row *other = &rows[rand() % (i + 1)];
    if (rand() % 4 == 0) {
      tiny_timers_remove(timers, other->id);
      if (other->state == 1) other->state = 3;
    }
    if (rand() % 4 == 0) turn();
    if (i % 500 == 0) ck_assert_uint_ge(earliest_row(), clock_ns - MS); /* none is overdue */
  }
  run_all();
  for (int i = 0; i < ROWS; i++) ck_assert_int_ge(rows[i].state, 2);
  end_of_time();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("timers");
  TCase *tests = tcase_create("wheel");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 100);
  tcase_add_test(tests, a_due_time_fires_once_and_not_before_its_time);
  tcase_add_test(tests, a_due_time_on_the_real_clock_comes_true);
  tcase_add_test(tests, with_nothing_pending_the_loop_has_nothing_to_wait_for);
  tcase_add_test(tests, a_removed_one_does_not_fire);
  tcase_add_test(tests, ids_that_are_over_do_no_harm);
  tcase_add_test(tests, a_node_that_is_nobodys_is_never_removed_whatever_the_id);
  tcase_add_test(tests, one_that_is_already_due_fires_in_the_next_turn);
  tcase_add_test(tests, one_that_a_handler_adds_already_due_leaves_the_loop_its_turn);
  tcase_add_test(tests, a_handler_can_remove_one_that_is_due_with_it);
  tcase_add_test(tests, a_handler_can_close_and_nothing_fires_after_it);
  tcase_add_test(tests, equal_due_times_fire_in_the_order_of_adding);
  tcase_add_test(tests, the_one_after_the_next_is_told_while_one_fires);
  tcase_add_test(tests, due_times_decades_away_fire_and_wake_nobody_before);
  tcase_add_test(tests, the_precision_groups_wake_ups);
  tcase_add_test(tests, a_change_of_precision_loses_nothing_and_keeps_the_order);
  tcase_add_test(tests, held_ones_wait_keep_their_order_and_can_be_removed);
  tcase_add_test(tests, a_kind_can_be_forgotten_by_its_word);
  tcase_add_test(tests, a_crowd_that_is_due_at_once_lets_io_through);
  tcase_add_test(tests, a_million_can_be_pending);
  tcase_add_loop_test(tests, it_agrees_with_a_plain_list, 0, 5);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
