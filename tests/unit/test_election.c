/* SPDX-License-Identifier: MIT
 * test_election.c -- who is elected, for how long, and what happens when etcd or the loop falls silent. */
#include "election.h"
#include "fake_etcd.h"
#include "suite.h"
#include "talk.h"

enum { TTL_S = 1, LEASE_MS = 1000, DEADLINE_MS = 900 };

/* One process's part. */
typedef struct member {
  tiny_election *election;
  tiny_lead lead;
  json_t *identity, *members;
  uint64_t token; /* of the last election */
  int elections, depositions, stuck, silences;
  const char *reason;
  uint64_t silent_since_ms; /* 0: its loop is not */
  uint64_t deposed_ms;
  bool stays; /* it goes on acting when it is deposed */
  bool resigned;
} member;

static uv_loop_t loop;
static tiny_log *log_;
static member one, two;

/* -- a member's loop thread ------------------------------------------------- */

static void elected(void *data, uint64_t token) {
  member *m = data;
  ck_assert_uint_gt(token, m->token);
  ck_assert(!atomic_load(&m->lead.acting));
  ck_assert_uint_gt(atomic_load(&m->lead.until_ns), tiny_talk_now());
  m->token = token;
  m->elections++;
  atomic_store(&m->lead.acting, true);
}

static void deposed(void *data, const char *reason) {
  member *m = data;
  ck_assert_uint_eq(atomic_load(&m->lead.until_ns), 0);
  m->reason = reason;
  m->depositions++;
  m->deposed_ms = fake_now();
  if (!m->stays) atomic_store(&m->lead.acting, false);
}

static void stuck(void *data) { ((member *)data)->stuck++; }

static uint64_t silence_ns(void *data) {
  const member *m = data;
  return m->silent_since_ms ? (fake_now() - m->silent_since_ms) * 1000000 : 0;
}

static void silent(void *data) { ((member *)data)->silences++; }

static void take_members(void *data, json_t *members) {
  member *m = data;
  json_decref(m->members);
  m->members = members;
}

static void on_resigned(void *data) { ((member *)data)->resigned = true; }

/* -- fixture --------------------------------------------------------------- */

static void join(member *m, const char *name) {
  m->identity = json_pack("{s:s}", "name", name);
  tiny_election_parts parts = {.loop = &loop,
                               .log = log_,
                               .plugin = &fake_plugin,
                               .lead = &m->lead,
                               .name = "test",
                               .identity = m->identity,
                               .elected = elected,
                               .deposed = deposed,
                               .stuck = stuck,
                               .silence_ns = silence_ns,
                               .silent = silent,
                               .members = take_members,
                               .data = m};
  tiny_etcd_settings settings = {0};
  m->election = tiny_election_open(&parts, &settings, TTL_S * 1000);
  ck_assert_ptr_nonnull(m->election);
}

static void setup(void) {
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  log_ = tiny_log_open();
  fake_begin(&loop, TTL_S);
  memset(&one, 0, sizeof one);
  memset(&two, 0, sizeof two);
  join(&one, "one");
}

static void leave(member *m) {
  if (m->election) tiny_election_close(m->election);
  json_decref(m->identity);
  json_decref(m->members);
}

static void teardown(void) {
  leave(&one);
  leave(&two);
  fake_end();
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  tiny_log_close(log_, 1000);
}

static void pass_ms(uint64_t ms) {
  for (uint64_t until = fake_now() + ms; fake_now() < until;) uv_run(&loop, UV_RUN_ONCE);
}

#define UNTIL(condition)                                                                           \
  do {                                                                                             \
    for (uint64_t until = fake_now() + 20000; !(condition);) {                                     \
      ck_assert_msg(fake_now() < until, "waited in vain for %s", #condition);                      \
      uv_run(&loop, UV_RUN_ONCE);                                                                  \
    }                                                                                              \
  } while (0)

static void elect_one(void) {
  tiny_election_stand(one.election);
  UNTIL(one.elections == 1);
}

static void elect_one_of_two(void) {
  elect_one();
  join(&two, "two");
  tiny_election_stand(two.election);
  UNTIL(json_array_size(one.members) == 2 && json_array_size(two.members) == 2);
}

static const char *role_of(const json_t *members, const char *name) {
  size_t i;
  const json_t *m;
  json_array_foreach(members, i,
                     m) if (strcmp(fake_text(m, "name"), name) == 0) return fake_text(m, "role");
  return "none";
}

/* -- tests ----------------------------------------------------------------- */

START_TEST(who_does_not_stand_is_not_elected) {
  UNTIL(json_array_size(one.members) == 1);
  pass_ms(100);
  ck_assert_int_eq(one.elections, 0);
  ck_assert_str_eq(role_of(one.members, "one"), "standby");
}
END_TEST

START_TEST(alone_one_is_elected_and_stays) {
  elect_one();
  pass_ms(3 * LEASE_MS);
  ck_assert_int_eq(one.elections, 1);
  ck_assert_int_eq(one.depositions, 0);
  ck_assert_uint_gt(atomic_load(&one.lead.until_ns), tiny_talk_now());
  ck_assert_uint_eq(one.token,
                    (uint64_t)fake_find_key("L3RpbnkvdGVzdC9lbGVjdGlvbi9hY3RpdmU=")->created);
  ck_assert_str_eq(role_of(one.members, "one"), "active");
}
END_TEST

START_TEST(of_two_one_is_elected_and_both_know) {
  elect_one_of_two();
  pass_ms(2 * LEASE_MS);
  ck_assert_int_eq(two.elections, 0);
  ck_assert_str_eq(role_of(two.members, "one"), "active");
  ck_assert_str_eq(role_of(two.members, "two"), "standby");
}
END_TEST

START_TEST(who_resigns_lets_the_other_at_once) {
  elect_one_of_two();
  uint64_t began = fake_now();
  atomic_store(&one.lead.acting, false);
  tiny_election_resign(one.election, on_resigned, &one);
  UNTIL(two.elections == 1);
  ck_assert_uint_lt(fake_now() - began, LEASE_MS / 2);
  ck_assert(one.resigned);
  ck_assert_uint_gt(two.token, one.token);
}
END_TEST

START_TEST(resigning_does_not_wait_for_an_etcd_that_is_silent) {
  elect_one();
  fake.silent = true;
  tiny_election_resign(one.election, on_resigned, &one);
  UNTIL(one.resigned);
}
END_TEST

START_TEST(resigning_without_a_lease_is_done_at_once) {
  tiny_election_resign(one.election, on_resigned, &one);
  ck_assert(one.resigned);
}
END_TEST

START_TEST(unanswered_its_time_ends_before_the_lease_does) {
  elect_one_of_two();
  pass_ms(LEASE_MS / 2);
  uint64_t lease_ends = 0;
  fake.silent = true;
  for (int i = 0; i < FAKE_MOST; i++)
    if (fake.leases[i].id && fake.leases[i].id == 1) lease_ends = fake.leases[i].ends_ms;
  UNTIL(one.depositions == 1);
  ck_assert_str_eq(one.reason, "timeout");
  ck_assert_uint_lt(one.deposed_ms, lease_ends);
  ck_assert_int_eq(two.elections, 0);
  fake.silent = false;
  UNTIL(two.elections == 1);
  ck_assert_uint_gt(two.token, one.token);
}
END_TEST

/* Its lease may live on in an etcd that was away: it would be in everybody's way. */
START_TEST(the_old_lease_goes_before_there_is_a_new_one) {
  elect_one();
  fake.silent = true;
  UNTIL(one.depositions == 1);
  for (int i = 0; i < FAKE_MOST; i++) fake.leases[i].ends_ms += 60000;
  fake.silent = false;
  UNTIL(fake.granted == 2);
  ck_assert_int_eq(fake.revoked, 1);
  tiny_election_stand(one.election);
  UNTIL(one.elections == 2);
}
END_TEST

START_TEST(while_it_still_acts_nothing_is_given_up) {
  elect_one();
  one.stays = true;
  fake.silent = true;
  UNTIL(one.depositions == 1);
  for (int i = 0; i < FAKE_MOST; i++) fake.leases[i].ends_ms += 60000;
  fake.silent = false;
  pass_ms(LEASE_MS / 2);
  ck_assert_int_eq(fake.revoked, 0);
  ck_assert_int_eq(fake.granted, 1);
  atomic_store(&one.lead.acting, false);
  UNTIL(fake.granted == 2);
}
END_TEST

START_TEST(who_does_not_stop_acting_is_told_on_once) {
  elect_one();
  one.stays = true;
  fake.silent = true;
  UNTIL(one.stuck == 1);
  ck_assert_uint_ge(fake_now() - one.deposed_ms, 99);
  pass_ms(300);
  ck_assert_int_eq(one.stuck, 1);
}
END_TEST

START_TEST(who_is_elected_again_soon_is_not_taken_for_stuck) {
  elect_one();
  fake_delete("/tiny/test/election/active");
  UNTIL(one.depositions == 1);
  tiny_election_stand(one.election);
  UNTIL(one.elections == 2);
  pass_ms(300);
  ck_assert_int_eq(one.stuck, 0);
}
END_TEST

START_TEST(a_silent_loop_loses_its_place) {
  elect_one_of_two();
  one.silent_since_ms = fake_now();
  UNTIL(one.depositions == 1);
  ck_assert_int_eq(one.silences, 1);
  ck_assert_str_eq(one.reason, "timeout");
  /* the last keep-alive went out within the first half of a lease's life */
  ck_assert_uint_le(one.deposed_ms - one.silent_since_ms, LEASE_MS / 2 + DEADLINE_MS + 50);
  UNTIL(two.elections == 1);
}
END_TEST

START_TEST(a_loop_that_comes_back_in_time_keeps_it) {
  elect_one();
  pass_ms(LEASE_MS / 4);
  one.silent_since_ms = fake_now();
  UNTIL(one.silences == 1);
  one.silent_since_ms = 0;
  pass_ms(2 * LEASE_MS);
  ck_assert_int_eq(one.depositions, 0);
}
END_TEST

START_TEST(a_silent_loop_is_not_elected) {
  one.silent_since_ms = fake_now() - LEASE_MS;
  tiny_election_stand(one.election);
  pass_ms(LEASE_MS / 2);
  ck_assert_int_eq(one.elections, 0);
  one.silent_since_ms = 0;
  UNTIL(one.elections == 1);
}
END_TEST

START_TEST(a_campaign_whose_answer_was_lost_counts) {
  fake.loses_txn = true;
  tiny_election_stand(one.election);
  UNTIL(one.elections == 1);
  ck_assert(!fake.loses_txn);
  ck_assert_int_eq(fake.granted, 1);
}
END_TEST

START_TEST(a_lease_that_etcd_has_ended_deposes) {
  elect_one();
  fake_end_lease(1);
  UNTIL(one.depositions == 1);
  ck_assert(strcmp(one.reason, "lease") == 0 || strcmp(one.reason, "deposed") == 0);
  tiny_election_stand(one.election);
  UNTIL(one.elections == 2);
}
END_TEST

START_TEST(a_key_that_is_gone_deposes) {
  elect_one();
  fake_delete("/tiny/test/election/active");
  UNTIL(one.depositions == 1);
  ck_assert_str_eq(one.reason, "deposed");
}
END_TEST

/* A revision may be compacted away: then the watch ends as soon as it begins. */
START_TEST(without_watches_it_looks_from_time_to_time) {
  fake.cancels = true;
  elect_one();
  join(&two, "two");
  tiny_election_stand(two.election);
  pass_ms(LEASE_MS);
  atomic_store(&one.lead.acting, false);
  tiny_election_resign(one.election, on_resigned, &one);
  UNTIL(two.elections == 1);
}
END_TEST

START_TEST(stepping_down_by_oneself_is_told_once) {
  elect_one();
  tiny_election_step_down(one.election);
  tiny_election_step_down(one.election);
  ck_assert_int_eq(one.depositions, 1);
  UNTIL(fake.revoked == 1);
}
END_TEST

START_TEST(new_settings_cost_no_place) {
  tiny_etcd_settings settings = {0};
  elect_one();
  for (int i = 0; i < 20; i++) {
    tiny_election_settle(one.election, &settings, 2000);
    pass_ms(i);
  }
  pass_ms(2 * LEASE_MS);
  ck_assert_int_eq(one.depositions, 0);
  ck_assert_int_eq(fake.granted, 1);
}
END_TEST

START_TEST(an_etcd_that_is_silent_at_first_is_asked_again) {
  fake.silent = true;
  tiny_election_stand(one.election);
  pass_ms(LEASE_MS / 2);
  ck_assert_int_eq(one.elections, 0);
  fake.silent = false;
  UNTIL(one.elections == 1);
}
END_TEST

static bool leads(const member *m) {
  return atomic_load(&m->lead.acting) && tiny_talk_now() < atomic_load(&m->lead.until_ns);
}

START_TEST(two_never_lead_at_once) {
  elect_one_of_two();
  for (int i = 0; i < 10; i++) {
    fake.silent = !fake.silent;
    for (uint64_t until = fake_now() + (fake.silent ? 1200 : 300); fake_now() < until;) {
      uv_run(&loop, UV_RUN_ONCE);
      ck_assert(!leads(&one) || !leads(&two));
      if (!one.lead.acting) tiny_election_stand(one.election);
      if (!two.lead.acting) tiny_election_stand(two.election);
    }
  }
  ck_assert_int_ge(one.elections + two.elections, 5);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("election");
  TCase *elections = tcase_create("elections");
  tcase_add_checked_fixture(elections, setup, teardown);
  tcase_set_timeout(elections, 60);
  const TTest *const tests[] = {
      who_does_not_stand_is_not_elected,
      alone_one_is_elected_and_stays,
      of_two_one_is_elected_and_both_know,
      who_resigns_lets_the_other_at_once,
      resigning_does_not_wait_for_an_etcd_that_is_silent,
      resigning_without_a_lease_is_done_at_once,
      unanswered_its_time_ends_before_the_lease_does,
      the_old_lease_goes_before_there_is_a_new_one,
      while_it_still_acts_nothing_is_given_up,
      who_does_not_stop_acting_is_told_on_once,
      who_is_elected_again_soon_is_not_taken_for_stuck,
      a_silent_loop_loses_its_place,
      a_loop_that_comes_back_in_time_keeps_it,
      a_silent_loop_is_not_elected,
      a_campaign_whose_answer_was_lost_counts,
      a_lease_that_etcd_has_ended_deposes,
      a_key_that_is_gone_deposes,
      without_watches_it_looks_from_time_to_time,
      stepping_down_by_oneself_is_told_once,
      new_settings_cost_no_place,
      an_etcd_that_is_silent_at_first_is_asked_again,
      two_never_lead_at_once,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(elections, tests[i]);
  suite_add_tcase(suite, elections);
  return suite_run(suite);
}
