/* SPDX-License-Identifier: MIT
 * test_claims.c -- who holds what through changes that succeed and changes that fail. */
#include "claims.h"
#include "suite.h"

#include <check.h>

typedef struct thing {
  tiny_claim claim;
  bool flows, closed;
} thing;

static tiny_claims claims;
static int forgotten[10]; /* by user */
static char users[10];

static void flow(tiny_claim *claim, bool flows) { ((thing *)claim)->flows = flows; }
static void close_thing(tiny_claim *claim) { ((thing *)claim)->closed = true; }
static void forget(void *user) { forgotten[(char *)user - users]++; }

static const tiny_claim_kind goes = {flow, close_thing, forget, false};
static const tiny_claim_kind keeps = {flow, close_thing, forget, true};

static tiny_tenant tenant(uint64_t generation, int user) {
  return (tiny_tenant){.generation = generation, .user = users + user};
}

static void setup(void) {
  claims = (tiny_claims){0};
  for (int i = 0; i < 10; i++) forgotten[i] = 0;
}

START_TEST(a_new_one_delivers_unless_all_is_held) {
  thing a = {0}, b = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  ck_assert(a.flows);
  tiny_claims_hold(&claims);
  ck_assert(!a.flows);
  tiny_claims_add(&claims, &b.claim, &goes, tenant(1, 1));
  ck_assert(!b.flows);
  tiny_claims_commit(&claims, 1);
  ck_assert(a.flows && b.flows);
}
END_TEST

START_TEST(what_the_next_generation_takes_lives_on_and_the_rest_goes) {
  thing a = {0}, b = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_add(&claims, &b.claim, &goes, tenant(1, 1));
  tiny_claims_hold(&claims);
  ck_assert(tiny_claim_free_for(&a.claim, 2));
  tiny_claims_take(&claims, &a.claim, tenant(2, 2));
  ck_assert(!tiny_claim_free_for(&a.claim, 2));
  ck_assert_int_eq(forgotten[0], 0); /* it may have to go back */
  tiny_claims_commit(&claims, 2);
  ck_assert(a.flows && !a.closed && b.closed);
  ck_assert_int_eq(forgotten[0], 1);
  ck_assert_int_eq(forgotten[1], 1);
  ck_assert_int_eq(forgotten[2], 0);
  ck_assert_ptr_eq(a.claim.tenant.user, users + 2);
}
END_TEST

START_TEST(a_failed_change_gives_everything_back) {
  thing a = {0}, b = {0}, c = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_add(&claims, &b.claim, &goes, tenant(1, 1));
  tiny_claims_hold(&claims);
  tiny_claims_take(&claims, &a.claim, tenant(2, 2));
  tiny_claims_add(&claims, &c.claim, &goes, tenant(2, 3));
  tiny_claims_back(&claims, 2);
  ck_assert(c.closed && !a.closed && !b.closed && !a.flows);
  ck_assert_ptr_eq(a.claim.tenant.user, users);
  ck_assert_int_eq(forgotten[2] + forgotten[3], 2);
  ck_assert(tiny_claim_free_for(&a.claim, 1)); /* its on_start asks again */
  tiny_claims_take(&claims, &a.claim, tenant(1, 4));
  tiny_claims_commit(&claims, 1);
  ck_assert(a.flows && b.flows); /* b was not asked for again, but never let go either */
  ck_assert(!tiny_claim_free_for(&a.claim, 1));
  ck_assert_int_eq(forgotten[0], 1);
  ck_assert_int_eq(forgotten[1], 0);
}
END_TEST

START_TEST(what_is_let_go_during_a_change_may_be_taken_up_again) {
  thing a = {0}, b = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_add(&claims, &b.claim, &keeps, tenant(1, 1));
  tiny_claims_hold(&claims);
  tiny_claims_release(&claims, &a.claim);
  tiny_claims_release(&claims, &b.claim);
  ck_assert(!a.closed);
  tiny_claims_take(&claims, &a.claim, tenant(2, 2));
  tiny_claims_commit(&claims, 2);
  ck_assert(a.flows && b.closed);
}
END_TEST

START_TEST(what_was_let_go_stays_so_when_the_change_fails) {
  thing a = {0}, b = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_add(&claims, &b.claim, &goes, tenant(1, 1));
  tiny_claims_hold(&claims);
  tiny_claims_release(&claims, &a.claim);
  tiny_claims_release(&claims, &b.claim);
  tiny_claims_take(&claims, &a.claim, tenant(2, 2));
  tiny_claims_back(&claims, 2);
  tiny_claims_take(&claims, &b.claim, tenant(1, 3));
  tiny_claims_commit(&claims, 1);
  ck_assert(a.closed && b.flows);
}
END_TEST

START_TEST(outside_of_a_change_letting_go_closes) {
  thing a = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_release(&claims, &a.claim);
  ck_assert(a.closed);
  ck_assert_int_eq(forgotten[0], 1);
  ck_assert_ptr_null(claims.first);
}
END_TEST

START_TEST(one_that_keeps_lives_as_long_as_its_generation) {
  thing a = {0};
  tiny_claims_add(&claims, &a.claim, &keeps, tenant(1, 0));
  tiny_claims_hold(&claims);
  tiny_claims_commit(&claims, 2);
  ck_assert(!a.closed && !a.flows); /* it may be used, but brings nothing new */
  tiny_claims_retire(&claims, 1);
  ck_assert(a.closed);
}
END_TEST

START_TEST(closing_ends_all_but_what_keeps) {
  thing a = {0}, b = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_add(&claims, &b.claim, &keeps, tenant(1, 1));
  tiny_claims_stop(&claims);
  ck_assert(a.closed && !b.closed && !b.flows);
}
END_TEST

START_TEST(a_claim_taken_twice_in_one_change_remembers_whose_it_was) {
  thing a = {0};
  tiny_claims_add(&claims, &a.claim, &goes, tenant(1, 0));
  tiny_claims_hold(&claims);
  tiny_claims_take(&claims, &a.claim, tenant(2, 2));
  tiny_claims_release(&claims, &a.claim);
  tiny_claims_take(&claims, &a.claim, tenant(2, 3));
  ck_assert_int_eq(forgotten[2], 1);
  tiny_claims_back(&claims, 2);
  ck_assert_ptr_eq(a.claim.tenant.user, users);
}
END_TEST

START_TEST(of_several_alike_the_oldest_stands_first) {
  thing things[3] = {0};
  for (int i = 0; i < 3; i++) tiny_claims_add(&claims, &things[i].claim, &goes, tenant(1, i));
  ck_assert_ptr_eq(claims.first, &things[0].claim);
  ck_assert_ptr_eq(claims.first->next, &things[1].claim);
  ck_assert_ptr_eq(claims.first->next->next, &things[2].claim);
}
END_TEST

START_TEST(what_a_request_has_of_its_own_is_for_nobody_else) {
  thing a = {0};
  tiny_tenant owner = tenant(1, 0);
  owner.own = true;
  tiny_claims_add(&claims, &a.claim, &keeps, owner);
  tiny_claims_hold(&claims);
  ck_assert(!tiny_claim_free_for(&a.claim, 2));
  tiny_claims_back(&claims, 2);
  ck_assert(!tiny_claim_free_for(&a.claim, 1));
  tiny_claims_commit(&claims, 2);
  ck_assert(!a.closed);
  tiny_claims_retire(&claims, 1);
  ck_assert(a.closed);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("claims");
  TCase *tcase = tcase_create("claims");
  tcase_add_checked_fixture(tcase, setup, NULL);
  tcase_add_test(tcase, a_new_one_delivers_unless_all_is_held);
  tcase_add_test(tcase, what_the_next_generation_takes_lives_on_and_the_rest_goes);
  tcase_add_test(tcase, a_failed_change_gives_everything_back);
  tcase_add_test(tcase, what_is_let_go_during_a_change_may_be_taken_up_again);
  tcase_add_test(tcase, what_was_let_go_stays_so_when_the_change_fails);
  tcase_add_test(tcase, outside_of_a_change_letting_go_closes);
  tcase_add_test(tcase, one_that_keeps_lives_as_long_as_its_generation);
  tcase_add_test(tcase, closing_ends_all_but_what_keeps);
  tcase_add_test(tcase, a_claim_taken_twice_in_one_change_remembers_whose_it_was);
  tcase_add_test(tcase, of_several_alike_the_oldest_stands_first);
  tcase_add_test(tcase, what_a_request_has_of_its_own_is_for_nobody_else);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
