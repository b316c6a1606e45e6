/* SPDX-License-Identifier: MIT
 * test_inbox.c -- asks from many threads, in order, and what becomes of them at the end. */
#include "inbox.h"
#include "suite.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static tiny_inbox *inbox;
static int taken, answered, refused;
static int order[16];

static void take(void *data, tiny_ask *ask) {
  ck_assert_ptr_eq(data, &loop);
  if (taken < 16) order[taken] = ask->code;
  taken++;
  if (ask->kind == TINY_ASK_CALL) ask->call(ask);
  tiny_ask_done(ask, true, "done");
}

static void answer(tiny_ask *ask, bool ok, const char *text) {
  ck_assert_str_eq(text, ok ? "done" : "closed");
  ck_assert_ptr_eq(ask->data, &answered);
  answered++;
  if (!ok) refused++;
}

static tiny_ask *new_ask(tiny_ask_kind kind, int code) {
  tiny_ask *ask = tiny_ask_new(kind);
  ck_assert_ptr_nonnull(ask);
  ask->code = code;
  ask->answer = answer;
  ask->data = &answered;
  return ask;
}

static void setup(void) {
  taken = answered = refused = 0;
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  inbox = tiny_inbox_open(&loop, take, &loop);
  ck_assert_ptr_nonnull(inbox);
}

static void finish(void) {
  tiny_inbox_close(inbox);
  uv_run(&loop, UV_RUN_DEFAULT);
}

static void teardown(void) {
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  tiny_inbox_free(inbox);
}

START_TEST(asks_are_taken_in_the_order_of_posting) {
  for (int i = 0; i < 10; i++) tiny_inbox_post(inbox, new_ask(TINY_ASK_EVAL, i));
  uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert_int_eq(taken, 10);
  ck_assert_int_eq(answered, 10);
  for (int i = 0; i < 10; i++) ck_assert_int_eq(order[i], i);
  finish();
}
END_TEST

START_TEST(what_is_not_taken_is_answered_closed) {
  tiny_inbox_post(inbox, new_ask(TINY_ASK_CLOSE, 0));
  finish();
  tiny_inbox_post(inbox, new_ask(TINY_ASK_CLOSE, 0));
  ck_assert_int_eq(taken, 0);
  ck_assert_int_eq(refused, 2);
}
END_TEST

START_TEST(reloads_that_nobody_waits_for_are_one) {
  for (int i = 0; i < 100000; i++) tiny_inbox_post(inbox, tiny_ask_new(TINY_ASK_RELOAD));
  for (int i = 0; i < 3; i++) tiny_inbox_post(inbox, new_ask(TINY_ASK_RELOAD, i));
  uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert_int_eq(taken, 4);
  ck_assert_int_eq(answered, 3);
  tiny_inbox_post(inbox, tiny_ask_new(TINY_ASK_RELOAD));
  uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert_int_eq(taken, 5);
  finish();
}
END_TEST

static void post_again(tiny_ask *ask) {
  tiny_ask *next = new_ask(TINY_ASK_CALL, ask->code + 1);
  next->call = post_again;
  tiny_inbox_post(inbox, next);
}

START_TEST(an_ask_that_posts_another_does_not_keep_the_loop) {
  tiny_ask *first = new_ask(TINY_ASK_CALL, 0);
  first->call = post_again;
  tiny_inbox_post(inbox, first);
  for (int i = 1; i <= 5; i++) {
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(taken, i);
  }
  finish();
}
END_TEST

START_TEST(an_ask_can_be_withdrawn_until_it_is_taken) {
  int mine = 0;
  for (int i = 0; i < 3; i++) tiny_inbox_post(inbox, new_ask(TINY_ASK_EVAL, i));
  tiny_ask *ask = new_ask(TINY_ASK_EVAL, 3);
  ask->data = &mine;
  tiny_inbox_post(inbox, ask);
  ck_assert(tiny_inbox_withdraw(inbox, &mine));
  ck_assert(!tiny_inbox_withdraw(inbox, &mine));
  tiny_inbox_post(inbox, new_ask(TINY_ASK_EVAL, 4));
  uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert_int_eq(taken, 4);
  ck_assert_int_eq(order[3], 4);
  ck_assert(!tiny_inbox_withdraw(inbox, &answered));
  finish();
}
END_TEST

enum { THREADS = 4, EACH = 5000 };

static void *post_many(void *data) {
  (void)data;
  for (int i = 0; i < EACH; i++) tiny_inbox_post(inbox, new_ask(TINY_ASK_EVAL, i));
  return NULL;
}

START_TEST(many_threads_post_while_the_loop_takes_and_closes) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, post_many, NULL);
  while (taken < EACH) uv_run(&loop, UV_RUN_ONCE);
  tiny_inbox_close(inbox);
  uv_run(&loop, UV_RUN_DEFAULT);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  ck_assert_int_ge(taken, EACH);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("inbox");
  TCase *inbox_case = tcase_create("inbox");
  tcase_add_checked_fixture(inbox_case, setup, teardown);
  tcase_add_test(inbox_case, asks_are_taken_in_the_order_of_posting);
  tcase_add_test(inbox_case, what_is_not_taken_is_answered_closed);
  tcase_add_test(inbox_case, reloads_that_nobody_waits_for_are_one);
  tcase_add_test(inbox_case, an_ask_that_posts_another_does_not_keep_the_loop);
  tcase_add_test(inbox_case, an_ask_can_be_withdrawn_until_it_is_taken);
  tcase_add_test(inbox_case, many_threads_post_while_the_loop_takes_and_closes);
  suite_add_tcase(suite, inbox_case);
  return suite_run(suite);
}
