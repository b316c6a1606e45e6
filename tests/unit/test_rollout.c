/* SPDX-License-Identifier: MIT
 * test_rollout.c -- whose turn it is to take a changed configuration, and who waits for whom. */
#include "asked_etcd.h"
#include "rollout.h"
#include "suite.h"

static uv_loop_t loop;
static tiny_log *log_;
static tiny_rollout *rollout;
static json_t *identity, *shown;
static char lease[24], refused_version[48];
static int reloads;

static const char *our_lease(void *data) {
  (void)data;
  return lease;
}

static void reload(void *data) {
  (void)data;
  reloads++;
}

static void refused(void *data, const char *version, const char *why) {
  (void)data, (void)why;
  snprintf(refused_version, sizeof refused_version, "%s", version);
}

static void show(void *data, json_t *now) {
  (void)data;
  json_decref(shown);
  shown = now;
}

static void setup(void) {
  tiny_etcd_settings settings = {0};
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  log_ = tiny_log_open();
  asks = opened = reloads = 0;
  snprintf(lease, sizeof lease, "77");
  refused_version[0] = 0;
  identity = json_pack("{s:s,s:s,s:i}", "name", "us", "host", "here", "pid", 1);
  tiny_rollout_parts parts = {.loop = &loop,
                              .log = log_,
                              .plugin = &plugin,
                              .name = "test",
                              .identity = identity,
                              .lease = our_lease,
                              .reload = reload,
                              .refused = refused,
                              .show = show};
  rollout = tiny_rollout_open(&parts, &settings);
  ck_assert_ptr_nonnull(rollout);
}

static void teardown(void) {
  tiny_rollout_close(rollout);
  ck_assert_ptr_null(last);
  ck_assert_int_eq(opened, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  tiny_log_close(log_, 1000);
  json_decref(identity);
  json_decref(shown);
  shown = NULL;
}

static void turn(void) { uv_run(&loop, UV_RUN_NOWAIT); }

static json_t *member(const char *name, int pid, const char *role, const char *conf) {
  return json_pack("{s:s,s:s,s:i,s:s,s:s}", "name", name, "host", "here", "pid", pid, "role", role,
                   "conf", conf);
}

/* Three of a cluster, of which we are the second, with what they have in force. */
static void members(const char *active, const char *ours, const char *third) {
  json_t *list = json_pack("[o,o,o]", member("a", 3, "active", active),
                           member("us", 1, "standby", ours), member("b", 2, "standby", third));
  tiny_rollout_members(rollout, list);
  json_decref(list);
  turn();
}

static void begin(void) {
  tiny_rollout_applied(rollout, "5.1");
  tiny_rollout_found(rollout, "5.1");
  members("5.1", "5.1", "5.1");
}

static json_t *won(void) {
  return json_pack("{s:{s:s},s:b}", "header", "revision", "90", "succeeded", 1);
}

/* It is found, our turn, and the lock is ours. */
static void take_turn(void) {
  begin();
  tiny_rollout_found(rollout, "6.1");
  turn();
  answer(won(), TINY_ETCD_OK);
  ck_assert_int_eq(reloads, 1);
}

START_TEST(the_first_version_is_taken_without_waiting_for_a_turn) {
  tiny_rollout_found(rollout, "5.1");
  turn();
  ck_assert_int_eq(reloads, 1);
  ck_assert_int_eq(asks, 0);
}
END_TEST

START_TEST(nothing_is_done_without_a_lease) {
  lease[0] = 0;
  tiny_rollout_found(rollout, "5.1");
  turn();
  ck_assert_int_eq(reloads, 0);
  snprintf(lease, sizeof lease, "78");
  members("5.1", "5.1", "5.1");
  ck_assert_int_eq(reloads, 1);
}
END_TEST

START_TEST(whose_turn_it_is_locks_reloads_and_lets_go) {
  take_turn();
  tiny_rollout_applied(rollout, "6.1");
  tiny_rollout_reloaded(rollout, true, "");
  turn();
  ck_assert_str_eq(last->path, "/v3/kv/txn");
  ck_assert_str_eq(asked("compare.0.create_revision"), "90");
  ck_assert_str_eq(asked("success.0.request_delete_range.key"), "L3RpbnkvdGVzdC9yb2xsb3V0L2xvY2s=");
  answer(won(), TINY_ETCD_OK);
  members("5.1", "6.1", "5.1");
  ck_assert_ptr_null(last);
  ck_assert_int_eq(reloads, 1);
}
END_TEST

START_TEST(a_standby_waits_for_those_before_it_but_not_for_the_active) {
  json_t *list = json_pack("[o,o,o]", member("b", 2, "standby", "5.1"),
                           member("a", 3, "active", "5.1"), member("us", 1, "standby", "5.1"));
  tiny_rollout_applied(rollout, "5.1");
  tiny_rollout_members(rollout, list);
  tiny_rollout_found(rollout, "6.1");
  turn();
  ck_assert_ptr_null(last);
  json_object_set_new(json_array_get(list, 0), "conf", json_string("6.1"));
  tiny_rollout_members(rollout, list);
  turn();
  ck_assert_ptr_nonnull(last);
  json_decref(list);
}
END_TEST

START_TEST(members_that_share_nothing_are_not_waited_for) {
  json_t *list = json_pack("[{s:s,s:s},o]", "name", "other", "role", "standby",
                           member("us", 1, "active", "5.1"));
  tiny_rollout_applied(rollout, "5.1");
  tiny_rollout_members(rollout, list);
  tiny_rollout_found(rollout, "6.1");
  turn();
  ck_assert_ptr_nonnull(last);
  json_decref(list);
}
END_TEST

START_TEST(a_lock_that_another_has_is_asked_for_again) {
  begin();
  tiny_rollout_found(rollout, "6.1");
  turn();
  answer(json_pack("{s:[{s:{s:[{s:s}]}}]}", "responses", "response_range", "kvs", "lease", "99"),
         TINY_ETCD_OK);
  ck_assert_int_eq(reloads, 0);
  while (!last) uv_run(&loop, UV_RUN_ONCE);
  answer(won(), TINY_ETCD_OK);
  ck_assert_int_eq(reloads, 1);
}
END_TEST

START_TEST(a_lock_that_was_won_without_an_answer_is_ours) {
  begin();
  tiny_rollout_found(rollout, "6.1");
  turn();
  answer(json_pack("{s:[{s:{s:[{s:s,s:s}]}}]}", "responses", "response_range", "kvs", "lease", "77",
                   "create_revision", "80"),
         TINY_ETCD_OK);
  ck_assert_int_eq(reloads, 1);
  tiny_rollout_reloaded(rollout, true, "");
  turn();
  ck_assert_str_eq(asked("compare.0.create_revision"), "80");
}
END_TEST

START_TEST(a_refusal_is_published_and_not_tried_again) {
  take_turn();
  tiny_rollout_reloaded(rollout, false, "no");
  turn();
  ck_assert_str_eq(refused_version, "6.1");
  ck_assert_str_eq(json_string_value(json_object_get(shown, "refused")), "no");
  answer(won(), TINY_ETCD_OK);
  turn();
  ck_assert_ptr_null(last);
  tiny_rollout_found(rollout, "7.1");
  turn();
  ck_assert_ptr_nonnull(last);
}
END_TEST

START_TEST(who_lost_its_lease_meanwhile_has_not_refused) {
  take_turn();
  snprintf(lease, sizeof lease, "78");
  tiny_rollout_reloaded(rollout, false, "no longer the active");
  turn();
  ck_assert_str_eq(refused_version, "");
}
END_TEST

START_TEST(anothers_refusal_stops_us) {
  json_t *list =
      json_pack("[o,o]", member("us", 1, "standby", "5.1"), member("a", 3, "active", "5.1"));
  json_object_set_new(json_array_get(list, 1), "refused", json_string("6.1"));
  json_object_set_new(json_array_get(list, 1), "why", json_string("no"));
  tiny_rollout_applied(rollout, "5.1");
  tiny_rollout_members(rollout, list);
  tiny_rollout_found(rollout, "6.1");
  turn();
  ck_assert_ptr_null(last);
  ck_assert_str_eq(json_string_value(json_object_get(shown, "refused")), "by a on here (3): no");
  tiny_rollout_found(rollout, "7.1");
  turn();
  ck_assert_ptr_nonnull(last);
  json_decref(list);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rollout");
  TCase *turns = tcase_create("turns");
  tcase_add_checked_fixture(turns, setup, teardown);
  const TTest *const tests[] = {
      the_first_version_is_taken_without_waiting_for_a_turn,
      nothing_is_done_without_a_lease,
      whose_turn_it_is_locks_reloads_and_lets_go,
      a_standby_waits_for_those_before_it_but_not_for_the_active,
      members_that_share_nothing_are_not_waited_for,
      a_lock_that_another_has_is_asked_for_again,
      a_lock_that_was_won_without_an_answer_is_ours,
      a_refusal_is_published_and_not_tried_again,
      who_lost_its_lease_meanwhile_has_not_refused,
      anothers_refusal_stops_us,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(turns, tests[i]);
  suite_add_tcase(suite, turns);
  return suite_run(suite);
}
