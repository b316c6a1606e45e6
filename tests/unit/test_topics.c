/* SPDX-License-Identifier: MIT
 * test_topics.c -- which topics are new, and which nobody wants any longer. */
#include "suite.h"
#include "topics.h"

#include <check.h>
#include <stdlib.h>

static tiny_topics topics;

static void teardown(void) {
  tiny_topics_clear(&topics);
  ck_assert_ptr_null(topics.first);
}

START_TEST(a_topic_is_new_once) {
  ck_assert_int_eq(tiny_topics_add(&topics, "a", 1), 1);
  ck_assert_int_eq(tiny_topics_add(&topics, "a", 1), 0);
  ck_assert_int_eq(tiny_topics_add(&topics, "ab", 2), 1);
  ck_assert_int_eq(tiny_topics_add(&topics, "", 0), 1);
  ck_assert_int_eq(tiny_topics_add(&topics, "a\0b", 3), 1);
}
END_TEST

START_TEST(what_was_removed_is_new_again) {
  tiny_topics_add(&topics, "a", 1);
  ck_assert(tiny_topics_remove(&topics, "a", 1));
  ck_assert(!tiny_topics_remove(&topics, "a", 1));
  ck_assert_int_eq(tiny_topics_add(&topics, "a", 1), 1);
}
END_TEST

START_TEST(what_is_not_added_again_is_unwanted) {
  tiny_topics_add(&topics, "old", 3);
  tiny_topics_add(&topics, "both", 4);
  tiny_topics_doubt(&topics);
  tiny_topics_add(&topics, "new", 3);
  tiny_topics_add(&topics, "both", 4);
  tiny_topic *old = tiny_topics_take_unwanted(&topics);
  ck_assert_ptr_nonnull(old);
  ck_assert_mem_eq(old->text, "old", 3);
  free(old);
  ck_assert_ptr_null(tiny_topics_take_unwanted(&topics));
  ck_assert_int_eq(tiny_topics_add(&topics, "both", 4), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("topics");
  TCase *all = tcase_create("topics");
  tcase_add_checked_fixture(all, NULL, teardown);
  tcase_add_test(all, a_topic_is_new_once);
  tcase_add_test(all, what_was_removed_is_new_again);
  tcase_add_test(all, what_is_not_added_again_is_unwanted);
  suite_add_tcase(suite, all);
  return suite_run(suite);
}
