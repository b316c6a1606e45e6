/* SPDX-License-Identifier: MIT
 * test_profile.c -- folded stacks of Lua that is busy in known places. */
#include "guard.h"
#include "profile.h"
#include "suite.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MS ((uint64_t)1000000)

static lua_State *L;
static tiny_interrupt *in;
static tiny_profile *profile;

static void say_nothing(tiny_report *report, const void *what, lua_State *state) {
  (void)report, (void)what, (void)state;
}

static void setup(void) {
  in = tiny_interrupt_open(say_nothing);
  L = luaL_newstate();
  luaL_openlibs(L);
  ck_assert_int_eq(lua_cpcall(L, tiny_guard_open, NULL), 0);
  ck_assert(tiny_interrupt_hold(in, L));
}

static void teardown(void) {
  tiny_interrupt_let_go(in, L);
  lua_close(L);
  tiny_interrupt_close(in);
}

static void *begin(void *data) {
  profile = tiny_profile_begin(in, *(uint64_t *)data);
  return NULL;
}

/* Run 'code' under the profiler. Returns the folded stacks, for free(). */
static char *profile_of(const char *code, uint64_t span_ns) {
  pthread_t other;
  pthread_create(&other, NULL, begin, &span_ns); /* it is not for the loop thread */
  pthread_join(other, NULL);
  tiny_stretch stretch = {.L = L, .running = L};
  ck_assert_msg(luaL_loadbuffer(L, code, strlen(code), "=code") == 0, "%s", lua_tostring(L, -1));
  tiny_interrupt_enter(in, &stretch, 0);
  int status = lua_pcall(L, 0, 0, 0);
  tiny_interrupt_leave(in, &stretch);
  ck_assert_msg(status == 0, "%s", lua_tostring(L, -1));
  char *text = tiny_profile_end(profile);
  ck_assert_ptr_nonnull(text);
  return text;
}

static long samples_with(const char *text, const char *word) {
  long sum = 0;
  for (const char *line = text; *line;) {
    const char *end = strchr(line, '\n');
    const char *count = end;
    while (count[-1] != ' ') count--;
    const char *found = strstr(line, word);
    if (found && found < end) sum += atol(count);
    line = end + 1;
  }
  return sum;
}

static const char burning[] = "local function burn(s)\n"
                              "  local t, x = os.clock(), 0\n"
                              "  while os.clock() < t + s do\n"
                              "    for i = 1, 1e5 do x = x + i end\n"
                              "  end\n"
                              "  return x\n"
                              "end\n"
                              "local function much() local x = burn(0.6) return x end\n"
                              "local function little() local x = burn(0.1) return x end\n"
                              "local a = much() local b = little()\n";

START_TEST(samples_fall_where_the_time_is_spent) {
  char *text = profile_of(burning, MS);
  long all = samples_with(text, ""), much = samples_with(text, ";much code:8;burn code:1;");
  long little = samples_with(text, ";little code:9;burn code:1;"),
       line = samples_with(text, ";line 4");
  ck_assert_msg(all > 100, "%s", text);
  ck_assert_msg(much > little * 3, "%s", text);
  ck_assert_msg(much + little > all * 8 / 10, "%s", text);
  ck_assert_msg(line > all / 2, "%s", text);
  free(text);
}
END_TEST

START_TEST(a_c_call_is_told_with_its_time) {
  char *text = profile_of("local function nap() local x = os.execute('sleep 0.3') return x end\n"
                          "local x = nap()\n",
                          MS);
  ck_assert_msg(samples_with(text, "nap code:1") > 100, "%s", text);
  ck_assert_msg(samples_with(text, ";(in C)") > 100, "%s", text);
  free(text);
}
END_TEST

START_TEST(more_stacks_than_there_is_room_for_are_counted_together) {
  char *text = profile_of("for i = 1, 40000 do\n"
                          "  local f = loadstring('local t, x = os.clock(), 0 for i = 1, 300 do x "
                          "= x + i end', '=c' .. i)\n"
                          "  f()\n"
                          "end\n",
                          MS / 50);
  ck_assert_int_gt(samples_with(text, ""), 100);
  free(text);
}
END_TEST

START_TEST(deep_stacks_are_cut_at_the_root) {
  char *text = profile_of("local function deep(n) if n > 0 then return 1 + deep(n - 1) end\n"
                          "  local t = os.clock() while os.clock() < t + 0.2 do end return 0 end\n"
                          "local x = deep(1000)",
                          MS);
  ck_assert_msg(strncmp(text, "...;deep code:1;", 16) == 0, "%.300s", text);
  free(text);
}
END_TEST

START_TEST(nothing_that_runs_gives_nothing) {
  uint64_t span = MS;
  pthread_t other;
  pthread_create(&other, NULL, begin, &span);
  pthread_join(other, NULL);
  char *text = tiny_profile_end(profile);
  ck_assert_str_eq(text, "");
  free(text);
}
END_TEST

int main(void) {
#if defined(__SANITIZE_THREAD__)
  return 77; /* skipped: signals do not reach Lua there */
#endif
  Suite *suite = suite_create("profile");
  TCase *c = tcase_create("profile");
  tcase_set_timeout(c, 60);
  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_test(c, samples_fall_where_the_time_is_spent);
  tcase_add_test(c, a_c_call_is_told_with_its_time);
  tcase_add_test(c, more_stacks_than_there_is_room_for_are_counted_together);
  tcase_add_test(c, deep_stacks_are_cut_at_the_root);
  tcase_add_test(c, nothing_that_runs_gives_nothing);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
