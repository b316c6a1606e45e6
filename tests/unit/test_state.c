/* SPDX-License-Identifier: MIT
 * test_state.c -- the info object that feed and status show. */
#include "state.h"
#include "suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tiny_state state;
static json_t *info;

static void setup(void) {
  tiny_state_init(&state, NULL);
  info = NULL;
}

static void teardown(void) {
  json_decref(info);
  tiny_state_fini(&state);
}

static const json_t *get(const char *key) {
  json_decref(info);
  info = tiny_state_info(&state);
  const json_t *value = json_object_get(info, key);
  ck_assert_msg(value != NULL, "no key %s", key);
  return value;
}

static const char *text(const char *key) { return json_string_value(get(key)); }
static double number(const char *key) { return json_number_value(get(key)); }

static void give_name(const char *name) {
  tiny_conf *conf = tiny_conf_new(json_pack("{s:s}", "svr.name", name), "/srv/x/conf.lua");
  tiny_state_conf(&state, conf);
  tiny_conf_drop(conf);
}

/* Key, and its JSON type before anything has happened. */
static const struct {
  const char *key;
  json_type type;
} keys[] = {{"name", JSON_NULL},
            {"pid", JSON_INTEGER},
            {"host", JSON_STRING},
            {"state", JSON_STRING},
            {"role", JSON_NULL},
            {"token", JSON_NULL},
            {"members", JSON_NULL},
            {"shared_conf", JSON_NULL},
            {"start_time", JSON_STRING},
            {"uptime", JSON_REAL},
            {"last_error", JSON_NULL},
            {"last_error_time", JSON_NULL},
            {"last_trace", JSON_NULL},
            {"last_summary", JSON_NULL},
            {"last_summary_time", JSON_NULL},
            {"last_reload_time", JSON_NULL},
            {"last_reload_result", JSON_NULL},
            {"hung_for", JSON_REAL},
            {"hung_stack", JSON_NULL},
            {"generation", JSON_INTEGER},
            {"generations_alive", JSON_INTEGER},
            {"threads_lost", JSON_INTEGER},
            {"loop_lag_ms", JSON_REAL},
            {"loop_lag_mean_ms", JSON_REAL},
            {"lua_heap_bytes", JSON_INTEGER},
            {"rss_bytes", JSON_INTEGER},
            {"cpu_seconds", JSON_REAL},
            {"timers", JSON_INTEGER},
            {"tasks", JSON_INTEGER},
            {"connections", JSON_INTEGER},
            {"errors", JSON_INTEGER},
            {"log_lines", JSON_INTEGER},
            {"log_dropped", JSON_INTEGER},
            {"app", JSON_OBJECT},
            {"draining", JSON_ARRAY}};

START_TEST(every_key_is_there_from_the_beginning) {
  ck_assert_int_eq(json_typeof(get(keys[_i].key)), keys[_i].type);
  ck_assert_uint_eq(json_object_size(info), sizeof keys / sizeof *keys);
}
END_TEST

START_TEST(a_part_in_a_cluster_is_told) {
  tiny_state_role(&state, "active", 42);
  tiny_state_members(&state, json_pack("[{s:s}]", "host", "h"));
  ck_assert_str_eq(text("role"), "active");
  ck_assert_double_eq(number("token"), 42);
  ck_assert_uint_eq(json_array_size(get("members")), 1);
  tiny_state_role(&state, "standby", 0);
  ck_assert_str_eq(text("role"), "standby");
  ck_assert(json_is_null(get("token")));
}
END_TEST

START_TEST(the_process_is_described) {
  give_name("counter");
  ck_assert_str_eq(text("name"), "counter");
  ck_assert_int_eq((int)number("pid"), getpid());
  ck_assert(number("rss_bytes") > 100000);
  ck_assert(number("cpu_seconds") > 0);
  ck_assert_uint_eq(strlen(text("start_time")), strlen("2024/01/31 23:59:59"));
}
END_TEST

START_TEST(errors_summaries_and_reloads_are_kept_with_their_times) {
  tiny_state_error(&state, "boom", "trace");
  tiny_state_summary(&state, "run count = 3");
  tiny_state_reloaded(&state, false, "refused: x");
  ck_assert_str_eq(text("last_error"), "boom");
  ck_assert_str_eq(text("last_trace"), "trace");
  ck_assert_ptr_nonnull(text("last_error_time"));
  ck_assert_str_eq(text("last_summary"), "run count = 3");
  ck_assert_ptr_nonnull(text("last_summary_time"));
  ck_assert_str_eq(text("last_reload_result"), "refused: x");
  ck_assert_ptr_null(text("last_reload_time"));
  tiny_state_reloaded(&state, true, "reloaded");
  ck_assert_ptr_nonnull(text("last_reload_time"));
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_shown_as_question_marks) {
  tiny_state_error(&state, "a\xff\xc3\xa9\xc3(\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82", NULL);
  ck_assert_str_eq(text("last_error"), "a?\xc3\xa9?(???\xf0\x9f\x98\x80??");
}
END_TEST

START_TEST(long_texts_are_cut) {
  char *long_text = malloc(1 << 20);
  memset(long_text, 'x', (1 << 20) - 1);
  long_text[(1 << 20) - 1] = 0;
  tiny_state_error(&state, long_text, long_text);
  ck_assert_uint_eq(strlen(text("last_error")), 16384);
  ck_assert_uint_eq(strlen(text("last_trace")), 16384);
  free(long_text);
}
END_TEST

START_TEST(a_hang_shows_until_it_is_over) {
  atomic_store(&state.phase, TINY_RUNNING);
  ck_assert_str_eq(text("state"), "running");
  ck_assert(!tiny_state_is_hung(&state));
  tiny_state_hung(&state, state.start_ns - 5000000000u, "x.lua:3");
  ck_assert_str_eq(text("state"), "hung");
  ck_assert(tiny_state_is_hung(&state));
  ck_assert(number("hung_for") >= 5);
  ck_assert_str_eq(text("hung_stack"), "x.lua:3");
  tiny_state_hung(&state, 0, NULL);
  ck_assert_str_eq(text("state"), "running");
  ck_assert(number("hung_for") == 0);
}
END_TEST

START_TEST(the_turn_that_has_not_ended_counts_as_lag) {
  atomic_store(&state.lag_max_ns, 2000000);
  ck_assert(number("loop_lag_ms") == 2);
  atomic_store(&state.busy_since, state.start_ns - 1000000000u);
  ck_assert(number("loop_lag_ms") >= 1000);
}
END_TEST

START_TEST(whoever_publishes_takes_the_lag_and_begins_it_anew) {
  atomic_store(&state.lag_max_ns, 4000000);
  atomic_store(&state.lag_sum_ns, 6000000);
  atomic_store(&state.lag_count, 3);
  ck_assert(number("loop_lag_ms") == 4); /* looking takes nothing */
  info = (json_decref(info), tiny_state_take_info(&state));
  ck_assert(json_real_value(json_object_get(info, "loop_lag_ms")) == 4);
  ck_assert(json_real_value(json_object_get(info, "loop_lag_mean_ms")) == 2);
  ck_assert(number("loop_lag_ms") == 0);
  ck_assert(number("loop_lag_mean_ms") == 0);
}
END_TEST

static void note_news(void *data, tiny_news news) { *(unsigned *)data |= news; }

START_TEST(a_watcher_is_told_all_news_until_it_goes) {
  unsigned news = 0;
  tiny_state_watch(&state, note_news, &news);
  give_name("counter");
  ck_assert_uint_eq(news, TINY_NEWS_CONF);
  tiny_state_error(&state, "boom", NULL);
  ck_assert_uint_eq(news, TINY_NEWS_CONF | TINY_NEWS_ERROR);
  ck_assert_int_eq((int)number("errors"), 1);
  tiny_state_watch(&state, NULL, NULL);
  tiny_state_hung(&state, state.start_ns, "x.lua:3");
  ck_assert_uint_eq(news, TINY_NEWS_CONF | TINY_NEWS_ERROR);
}
END_TEST

START_TEST(each_change_of_state_is_news) {
  unsigned news = 0;
  tiny_state_watch(&state, note_news, &news);
  switch (_i) {
  case 0: tiny_state_hung(&state, state.start_ns, "x.lua:3"); break;
  case 1: tiny_state_reloaded(&state, false, "refused"); break;
  case 2: tiny_state_enter(&state, TINY_RUNNING); break;
  }
  ck_assert_uint_eq(news, TINY_NEWS_STATE);
}
END_TEST

START_TEST(of_a_reload_only_the_outcome_is_news) {
  unsigned news = 0;
  tiny_state_enter(&state, TINY_RUNNING);
  tiny_state_watch(&state, note_news, &news);
  tiny_state_enter(&state, TINY_RELOADING);
  tiny_state_enter(&state, TINY_RUNNING);
  tiny_state_enter(&state, TINY_RUNNING);
  ck_assert_uint_eq(news, 0);
  ck_assert_str_eq(text("state"), "running");
}
END_TEST

START_TEST(gauges_are_set_and_counters_added) {
  tiny_state_app(&state, "depth", 2.5, false);
  tiny_state_app(&state, "depth", 1.5, false);
  tiny_state_app(&state, "jobs", 1, true);
  tiny_state_app(&state, "jobs", 2, true);
  tiny_state_app(&state, "odd", NAN, false);
  tiny_state_app(&state, "load", 1, false);
  tiny_state_app(&state, "load", 0.5, true);
  tiny_state_app(&state, "load", 0.5, true);
  const json_t *app = get("app");
  ck_assert(json_real_value(json_object_get(app, "depth")) == 1.5);
  ck_assert_int_eq(json_integer_value(json_object_get(app, "jobs")), 3);
  ck_assert_ptr_null(json_object_get(app, "odd"));
  ck_assert_int_eq(json_integer_value(json_object_get(app, "load")), 2); /* by way of 1.5 */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("state");
  TCase *info_case = tcase_create("info");
  tcase_add_checked_fixture(info_case, setup, teardown);
  tcase_add_loop_test(info_case, every_key_is_there_from_the_beginning, 0,
                      sizeof keys / sizeof *keys);
  tcase_add_test(info_case, a_part_in_a_cluster_is_told);
  tcase_add_test(info_case, the_process_is_described);
  tcase_add_test(info_case, errors_summaries_and_reloads_are_kept_with_their_times);
  tcase_add_test(info_case, bytes_that_are_not_utf8_are_shown_as_question_marks);
  tcase_add_test(info_case, long_texts_are_cut);
  tcase_add_test(info_case, a_hang_shows_until_it_is_over);
  tcase_add_test(info_case, the_turn_that_has_not_ended_counts_as_lag);
  tcase_add_test(info_case, whoever_publishes_takes_the_lag_and_begins_it_anew);
  tcase_add_test(info_case, gauges_are_set_and_counters_added);
  tcase_add_test(info_case, a_watcher_is_told_all_news_until_it_goes);
  tcase_add_loop_test(info_case, each_change_of_state_is_news, 0, 3);
  tcase_add_test(info_case, of_a_reload_only_the_outcome_is_news);
  suite_add_tcase(suite, info_case);
  return suite_run(suite);
}
