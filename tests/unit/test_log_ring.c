/* SPDX-License-Identifier: MIT
 * test_log_ring.c -- claims, order, bounds and growth of the ring. */
#include "log_ring.h"
#include "suite.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static tiny_ring *ring;
static uint32_t ahead;

static void setup(void) {
  ring = tiny_ring_new(0); /* the smallest */
  ahead = 0;
}

/* Free memory is always zero: whatever a test did, nothing may be left behind. */
static void teardown(void) {
  ck_assert_uint_eq(tiny_ring_used(ring), 0);
  ck_assert_int_eq(ring->bytes[0], 0);
  ck_assert_int_eq(memcmp(ring->bytes, ring->bytes + 1, (size_t)ring->units * 8 - 1), 0);
  tiny_ring_free(ring);
}

static bool put(uint64_t word, size_t extra, tiny_rank rank) {
  tiny_record *record = tiny_ring_claim(ring, extra, rank);
  if (!record || record == TINY_RING_CLOSED) return false;
  record->kind = TINY_RECORD_LINE;
  record->word = word;
  memset(record->bytes, (int)(word & 0x7f) | 0x80, extra);
  tiny_ring_commit(record, extra);
  return true;
}

/* The next record's word, after which it is given back; 0 when there is none. */
static uint64_t get(void) {
  tiny_record *record = tiny_ring_peek(ring, &ahead);
  if (!record) return 0;
  uint64_t word = record->word;
  tiny_ring_pass(ring, record, &ahead);
  tiny_ring_give(ring, &ahead);
  return word;
}

static void empty(void) {
  while (get()) {}
}

START_TEST(records_come_out_in_the_order_they_went_in) {
  for (uint64_t i = 1; i <= 5; i++) ck_assert(put(i, i * 3, TINY_RANK_PLAIN));
  for (uint64_t i = 1; i <= 5; i++) ck_assert_uint_eq(get(), i);
  ck_assert_uint_eq(get(), 0);
}
END_TEST

START_TEST(records_of_odd_sizes_go_round_many_times) {
  uint64_t in = 1, out = 1;
  for (int round = 0; round < 300; round++) {
    while (put(in, (size_t)(in * 37 % 4001), TINY_RANK_PLAIN)) in++;
    while (get() == out) out++;
    ck_assert_uint_eq(out, in);
  }
}
END_TEST

START_TEST(a_record_that_is_not_complete_holds_back_what_follows) {
  tiny_record *record = tiny_ring_claim(ring, 8, TINY_RANK_PLAIN);
  ck_assert(put(2, 8, TINY_RANK_PLAIN));
  ck_assert_uint_eq(get(), 0);
  record->kind = TINY_RECORD_LINE;
  record->word = 1;
  tiny_ring_commit(record, 8);
  ck_assert_uint_eq(get(), 1);
  ck_assert_uint_eq(get(), 2);
}
END_TEST

START_TEST(a_quarter_is_kept_for_errors_and_a_rest_for_the_log_itself) {
  while (put(1, 100, TINY_RANK_PLAIN)) {}
  size_t plain = tiny_ring_used(ring);
  while (put(1, 100, TINY_RANK_ERROR)) {}
  size_t errors = tiny_ring_used(ring) - plain;
  ck_assert(put(1, 100, TINY_RANK_OWN));
  ck_assert_uint_gt(plain, 3 * errors - 1000);
  ck_assert_uint_lt(plain, 3 * errors + 1000);
  empty();
}
END_TEST

START_TEST(a_closed_ring_takes_no_more_and_is_finished_when_empty) {
  ck_assert(put(1, 0, TINY_RANK_PLAIN));
  tiny_ring_close(ring);
  ck_assert_ptr_eq(tiny_ring_claim(ring, 0, TINY_RANK_OWN), TINY_RING_CLOSED);
  ck_assert(!tiny_ring_finished(ring));
  ck_assert_uint_eq(get(), 1);
  ck_assert(tiny_ring_finished(ring));
}
END_TEST

START_TEST(an_empty_ring_begins_again_at_the_front) {
  ck_assert(put(1, 100, TINY_RANK_PLAIN));
  ck_assert_uint_eq(get(), 1);
  tiny_ring_rewind(ring);
  ck_assert_ptr_eq((char *)tiny_ring_claim(ring, 0, TINY_RANK_PLAIN), ring->bytes);
  tiny_ring_rewind(ring); /* not empty now: nothing happens */
  ((tiny_record *)ring->bytes)->kind = TINY_RECORD_LINE;
  ((tiny_record *)ring->bytes)->word = 7;
  tiny_ring_commit((tiny_record *)ring->bytes, 0);
  ck_assert_uint_eq(get(), 7);
}
END_TEST

#define WRITERS 4
#define EACH    50000

static void *write_numbers(void *data) {
  uint64_t writer = (uint64_t)(uintptr_t)data << 32;
  for (uint64_t i = 1; i <= EACH; i++) {
    while (!put(writer | i, (size_t)(i % 200), TINY_RANK_PLAIN)) sched_yield();
  }
  return NULL;
}

/* Each writer's records are whole and in its own order. */
static bool is_right(const tiny_record *record, uint64_t *last) {
  uint64_t writer = record->word >> 32, number = record->word & 0xffffffff;
  char filled[200];
  if (writer < 1 || writer > WRITERS || number != ++last[writer]) return false;
  memset(filled, (int)(number & 0x7f) | 0x80, sizeof filled);
  return memcmp(record->bytes, filled, number % 200) == 0;
}

START_TEST(writers_at_once_lose_nothing_and_keep_their_order) {
  pthread_t threads[WRITERS];
  uint64_t last[WRITERS + 1] = {0};
  for (uintptr_t i = 0; i < WRITERS; i++) {
    pthread_create(&threads[i], NULL, write_numbers, (void *)(i + 1));
  }
  for (size_t left = (size_t)WRITERS * EACH; left > 0;) {
    tiny_record *record = tiny_ring_peek(ring, &ahead);
    if (record) {
      if (!is_right(record, last)) ck_abort_msg("record %llx", (unsigned long long)record->word);
      tiny_ring_pass(ring, record, &ahead);
      left--;
    } else {
      tiny_ring_give(ring, &ahead);
      tiny_ring_rewind(ring);
    }
  }
  tiny_ring_give(ring, &ahead);
  for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("log_ring");
  TCase *tests = tcase_create("ring");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, records_come_out_in_the_order_they_went_in);
  tcase_add_test(tests, records_of_odd_sizes_go_round_many_times);
  tcase_add_test(tests, a_record_that_is_not_complete_holds_back_what_follows);
  tcase_add_test(tests, a_quarter_is_kept_for_errors_and_a_rest_for_the_log_itself);
  tcase_add_test(tests, a_closed_ring_takes_no_more_and_is_finished_when_empty);
  tcase_add_test(tests, an_empty_ring_begins_again_at_the_front);
  tcase_add_test(tests, writers_at_once_lose_nothing_and_keep_their_order);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
