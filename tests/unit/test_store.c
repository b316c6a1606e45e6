/* SPDX-License-Identifier: MIT
 * test_store.c -- what is asked of etcd for a checkpoint, and what becomes of its answers. */
#include "asked_etcd.h"
#include "store.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

static uv_loop_t loop;
static tiny_log *log_;
static tiny_store *store;
static int result;
static char said[256];

static void on_put(void *data, int rc, const char *why) {
  (*(int *)data)++;
  result = rc;
  snprintf(said, sizeof said, "%s", why);
}

static void on_get(void *data, int rc, const char *text) {
  (*(int *)data)++;
  result = rc;
  snprintf(said, sizeof said, "%s", text ? text : "(none)");
}

static void setup(void) {
  tiny_etcd_settings settings = {0};
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  log_ = tiny_log_open();
  asks = opened = 0;
  result = 1;
  store = tiny_store_open(&loop, log_, &plugin, &settings, "test");
  ck_assert_ptr_nonnull(store);
}

static void teardown(void) {
  if (store) tiny_store_close(store);
  ck_assert_ptr_null(last);
  ck_assert_int_eq(opened, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  tiny_log_close(log_, 1000);
}

static json_t *won(void) {
  return json_pack("{s:{s:s},s:b}", "header", "revision", "77", "succeeded", 1);
}

static int puts_done;

static void put(const char *text) {
  puts_done = 0;
  tiny_store_put(store, 42, strdup(text), on_put, &puts_done);
}

START_TEST(a_put_is_bound_to_the_token) {
  put("dGV4dA==");
  ck_assert_str_eq(last->path, "/v3/kv/txn");
  ck_assert_str_eq(asked("compare.0.create_revision"), "42");
  ck_assert_str_eq(asked("compare.0.target"), "CREATE");
  ck_assert_str_eq(asked("compare.0.key"),
                   "L3RpbnkvdGVzdC9lbGVjdGlvbi9hY3RpdmU="); /* /tiny/test/election/active */
  answer(won(), TINY_ETCD_OK);
  ck_assert_int_eq(puts_done, 1);
  ck_assert_int_eq(result, 0);
}
END_TEST

/* What a put is told that was not done: who is the active, and when the key was last changed. */
static json_t *lost(const char *token, const char *revision) {
  return json_pack("{s:{s:s},s:[{s:{s:[{s:s}]}},{s:{s:[{s:s}]}}]}", "header", "revision", "77",
                   "responses", "response_range", "kvs", "create_revision", token, "response_range",
                   "kvs", "mod_revision", revision);
}

static const char *expected_revision(void) {
  ck_assert_str_eq(asked("compare.1.target"), "MOD");
  return asked("compare.1.mod_revision");
}

START_TEST(a_put_replaces_only_what_is_known) {
  put("dGV4dA==");
  ck_assert_str_eq(expected_revision(), "0");
  answer(lost("42", "33"), TINY_ETCD_OK);
  ck_assert_int_eq(puts_done, 0);
  ck_assert_str_eq(expected_revision(), "33");
  answer(won(), TINY_ETCD_OK);
  ck_assert_int_eq(result, 0);
  put("dGV4dA==");
  ck_assert_str_eq(expected_revision(), "77");
}
END_TEST

START_TEST(who_is_the_active_no_more_is_refused) {
  put("dGV4dA==");
  answer(lost("43", "33"), TINY_ETCD_OK);
  ck_assert_int_eq(result, -ESTALE);
  ck_assert_ptr_nonnull(strstr(said, "another is the active"));
}
END_TEST

START_TEST(a_full_etcd_is_told_as_such) {
  put("dGV4dA==");
  answer(NULL, TINY_ETCD_EXHAUSTED);
  ck_assert_int_eq(result, -ENOSPC);
}
END_TEST

START_TEST(without_an_answer_it_is_put_again_for_a_while) {
  put("dGV4dA==");
  while (puts_done == 0) {
    answer(NULL, TINY_ETCD_NO_ANSWER);
    while (!last && puts_done == 0) uv_run(&loop, UV_RUN_ONCE);
  }
  ck_assert_int_gt(asks, 1);
  ck_assert_int_eq(result, -EIO);
}
END_TEST

START_TEST(the_end_of_a_term_ends_a_put) {
  put("dGV4dA==");
  tiny_store_stop(store);
  ck_assert_int_eq(puts_done, 1);
  ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

/* The text counts: a small one is compacted after many puts, a large one at once. */
START_TEST(old_versions_are_compacted_away) {
  static char large[(1 << 20) + 4];
  memset(large, 'A', sizeof large - 4);
  for (int i = 0; i < 3; i++) {
    put("dGV4dA==");
    answer(won(), TINY_ETCD_OK);
    ck_assert_ptr_null(last);
  }
  put(large);
  answer(won(), TINY_ETCD_OK);
  ck_assert_str_eq(last->path, "/v3/kv/compaction");
  ck_assert_str_eq(asked("revision"), "77");
  answer(json_object(), TINY_ETCD_OK);
  for (int i = 0; i < 100; i++) {
    put("dGV4dA==");
    ck_assert_str_eq(last->path, "/v3/kv/txn");
    answer(won(), TINY_ETCD_OK);
  }
  ck_assert_str_eq(last->path, "/v3/kv/compaction");
  answer(NULL, TINY_ETCD_DENIED);
}
END_TEST

START_TEST(what_is_there_is_got) {
  int gets = 0;
  tiny_store_get(store, on_get, &gets);
  ck_assert_str_eq(last->path, "/v3/kv/range");
  answer(json_pack("{s:[{s:s}]}", "kvs", "value", "dGV4dA=="), TINY_ETCD_OK);
  ck_assert_int_eq(gets, 1);
  ck_assert_int_eq(result, 0);
  ck_assert_str_eq(said, "dGV4dA==");
}
END_TEST

START_TEST(that_nothing_is_there_is_an_answer_too) {
  int gets = 0;
  tiny_store_get(store, on_get, &gets);
  answer(json_pack("{s:{}}", "header"), TINY_ETCD_OK);
  ck_assert_int_eq(result, 0);
  ck_assert_str_eq(said, "(none)");
}
END_TEST

START_TEST(without_an_answer_it_asks_again_until_stopped) {
  int gets = 0;
  tiny_store_get(store, on_get, &gets);
  for (int i = 0; i < 3; i++) {
    answer(NULL, TINY_ETCD_NO_ANSWER);
    while (!last) uv_run(&loop, UV_RUN_ONCE);
  }
  ck_assert_int_eq(gets, 0);
  tiny_store_stop(store);
  tiny_store_stop(store);
  ck_assert_int_eq(gets, 1);
  ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

START_TEST(new_settings_ask_again_what_was_under_way) {
  tiny_etcd_settings settings = {0};
  put("dGV4dA==");
  tiny_store_settle(store, &settings);
  ck_assert_int_eq(asks, 2);
  ck_assert_int_eq(opened, 1);
  answer(won(), TINY_ETCD_OK);
  ck_assert_int_eq(puts_done, 1);
  ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(closing_ends_what_is_under_way) {
  put("dGV4dA==");
  tiny_store_close(store);
  store = NULL;
  ck_assert_int_eq(puts_done, 1);
  ck_assert_int_eq(result, -ECANCELED);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store");
  TCase *checkpoints = tcase_create("checkpoints");
  tcase_add_checked_fixture(checkpoints, setup, teardown);
  const TTest *const tests[] = {
      a_put_is_bound_to_the_token,
      who_is_the_active_no_more_is_refused,
      a_full_etcd_is_told_as_such,
      a_put_replaces_only_what_is_known,
      without_an_answer_it_is_put_again_for_a_while,
      the_end_of_a_term_ends_a_put,
      old_versions_are_compacted_away,
      what_is_there_is_got,
      that_nothing_is_there_is_an_answer_too,
      without_an_answer_it_asks_again_until_stopped,
      new_settings_ask_again_what_was_under_way,
      closing_ends_what_is_under_way,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(checkpoints, tests[i]);
  suite_add_tcase(suite, checkpoints);
  return suite_run(suite);
}
