/* SPDX-License-Identifier: MIT
 * test_host.c -- tiny.h as a program uses it that has a loop, threads and modules of its own. */
#include "host_fixture.h"
#include "suite.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>

/* -- running ------------------------------------------------------------------- */

START_TEST(a_loop_of_ones_own_drives_it_to_its_exit_code) {
  tiny *rt = host_new("function S:run() tiny.sleep(0.02) self:close(0, 7) tiny.sleep(9) end");
  ck_assert_int_eq(tiny_exit_code(rt), -EBUSY);
  ck_assert_int_eq(host_drive(rt), 7);
  ck_assert_int_eq(tiny_exit_code(rt), 7);
  ck_assert_int_eq(tiny_step(rt), -ESHUTDOWN);
  ck_assert_int_eq(tiny_timeout(rt), 0);
  ck_assert_int_eq(tiny_free(rt), 0);
}
END_TEST

START_TEST(an_idle_one_wants_no_turns) {
  tiny *rt = host_new("function S:on_start() end");
  host_until_serving(rt);
  for (int turns = 0; tiny_timeout(rt) >= 0; turns++) {
    ck_assert_int_lt(turns, 100);
    host_turn(rt);
  }
  struct pollfd fd = {.fd = tiny_fd(rt), .events = POLLIN};
  ck_assert_int_eq(poll(&fd, 1, 200), 0);
  host_close(rt);
}
END_TEST

START_TEST(a_descriptor_wakes_the_loop_of_ones_own) {
  tiny *rt = host_new("function S:on_start() self:info('up') end");
  host_until_serving(rt);
  while (tiny_timeout(rt) == 0) tiny_step(rt);
  ck_assert_int_eq(tiny_reload(rt, host_on_done, &host.outcome), 0);
  struct pollfd fd = {.fd = tiny_fd(rt), .events = POLLIN};
  ck_assert_int_eq(poll(&fd, 1, 10000), 1);
  host_until(rt, &host.outcome.told);
  ck_assert(host.outcome.done);
  ck_assert_ptr_nonnull(strstr(host.outcome.text, "reloaded: generation 2"));
  host_close(rt);
}
END_TEST

/* -- asking -------------------------------------------------------------------- */

START_TEST(a_refused_reload_tells_why) {
  tiny *rt = host_new("function S:on_start() end");
  host_until_serving(rt);
  host_script("local = 1");
  ck_assert_int_eq(tiny_reload(rt, host_on_done, &host.outcome), 0);
  host_until(rt, &host.outcome.told);
  ck_assert(!host.outcome.done);
  ck_assert_ptr_nonnull(strstr(host.outcome.text, "server.lua:2:"));
  host_close(rt);
}
END_TEST

START_TEST(closing_is_told_when_it_is_over) {
  tiny *rt = host_new("function S:on_close() tiny.sleep(0.05) end");
  host_until_serving(rt);
  ck_assert_int_eq(tiny_close(rt, 0, 9, host_on_done, &host.outcome), 0);
  ck_assert_int_eq(host_drive(rt), 9);
  ck_assert(host.outcome.told && host.outcome.done);
  ck_assert_str_eq(host.outcome.text, "closed with exit code 9");
  ck_assert_int_eq(tiny_reload(rt, host_on_done, NULL), -ESHUTDOWN);
  ck_assert_int_eq(tiny_close(rt, 0, 0, NULL, NULL), -ESHUTDOWN);
  ck_assert_int_eq(tiny_post(rt, host_count, NULL), -ESHUTDOWN);
  tiny_free(rt);
}
END_TEST

START_TEST(of_two_delays_the_shorter_one_counts_whichever_was_asked_first) {
  for (int order = 0; order < 2; order++) {
    tiny *rt = host_new("");
    host_until_serving(rt);
    ck_assert_int_eq(tiny_close(rt, order ? 60 : 0.05, order ? 4 : 3, NULL, NULL), 0);
    ck_assert_int_eq(tiny_close(rt, order ? 0.05 : 60, order ? 3 : 4, NULL, NULL), 0);
    ck_assert_int_eq(host_drive(rt), 3);
    tiny_free(rt);
  }
}
END_TEST

START_TEST(a_failed_start_answers_what_was_asked_meanwhile) {
  tiny *rt = host_new("function S:on_start() error('no') end");
  ck_assert_int_eq(tiny_reload(rt, host_on_done, &host.outcome), 0);
  ck_assert_int_eq(host_drive(rt), TINY_EXIT_START);
  ck_assert(host.outcome.told && !host.outcome.done);
  ck_assert_ptr_nonnull(strstr(host.logged, "no"));
  tiny_free(rt);
}
END_TEST

START_TEST(one_that_never_ran_answers_when_it_is_freed) {
  tiny *rt = host_new("");
  ck_assert_int_eq(tiny_reload(rt, host_on_done, &host.outcome), 0);
  ck_assert_int_eq(tiny_post(rt, host_count, NULL), 0);
  ck_assert_int_eq(tiny_free(rt), 0);
  ck_assert(host.outcome.told && !host.outcome.done);
  ck_assert_int_eq(host.counted, 1);
}
END_TEST

static void *post_many(void *data) {
  for (int i = 0; i < 1000; i++) ck_assert_int_eq(tiny_post(data, host_count, NULL), 0);
  return NULL;
}

START_TEST(work_of_other_threads_is_done_once_and_on_the_loop_thread) {
  pthread_t threads[4];
  tiny *rt = host_new("");
  host_until_serving(rt);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, post_many, rt);
  while (host.counted < 4000) tiny_step(rt);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  host_close(rt);
  ck_assert_int_eq(host.counted, 4000);
  ck_assert_int_eq(host.counted_elsewhere, 0);
}
END_TEST

/* -- misuse -------------------------------------------------------------------- */

START_TEST(null_is_refused_everywhere) {
  char why[64];
  ck_assert_ptr_null(tiny_new(NULL, why, sizeof why));
  ck_assert_str_eq(why, "no options");
  ck_assert_ptr_null(tiny_new(NULL, NULL, 0));
  ck_assert_int_eq(tiny_check(NULL, why, sizeof why), -1);
  ck_assert_int_eq(tiny_run(NULL), -EINVAL);
  ck_assert_int_eq(tiny_step(NULL), -EINVAL);
  ck_assert_int_eq(tiny_fd(NULL), -EINVAL);
  ck_assert_int_eq(tiny_timeout(NULL), 0);
  ck_assert_int_eq(tiny_exit_code(NULL), -EINVAL);
  ck_assert_int_eq(tiny_reload(NULL, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_reload(NULL, host_on_done, NULL), -EINVAL);
  ck_assert_int_eq(tiny_close(NULL, 0, 0, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_post(NULL, host_count, NULL), -EINVAL);
  ck_assert_int_eq(tiny_call(NULL, luaopen_base, NULL, NULL, 0), -EINVAL);
  ck_assert_int_eq(tiny_free(NULL), 0);
}
END_TEST

START_TEST(arguments_out_of_range_are_refused) {
  char why[64];
  tiny *rt = host_new("");
  ck_assert_int_eq(tiny_close(rt, -1, 0, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_close(rt, 0.0 / 0.0, 0, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_close(rt, 0, 256, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_post(rt, NULL, NULL), -EINVAL);
  ck_assert_int_eq(tiny_call(rt, luaopen_base, NULL, NULL, 0), -EAGAIN);
  tiny_free(rt);
  tiny_library half[] = {{"x", NULL}, {NULL, NULL}};
  ck_assert_ptr_null(tiny_new(&(tiny_options){.libraries = half}, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "open function"));
  ck_assert_ptr_null(tiny_new(&(tiny_options){.argc = 2}, why, sizeof why));
}
END_TEST

START_TEST(a_freed_one_is_known_as_such) {
  tiny *rt = host_new("");
  ck_assert_int_eq(tiny_free(rt), 0);
  ck_assert_int_eq(tiny_free(rt), -EBADF);
  ck_assert_int_eq(tiny_run(rt), -EBADF);
  ck_assert_int_eq(tiny_step(rt), -EBADF);
  ck_assert_int_eq(tiny_fd(rt), -EBADF);
  ck_assert_int_eq(tiny_exit_code(rt), -EBADF);
  ck_assert_int_eq(tiny_reload(rt, host_on_done, NULL), -EBADF);
  ck_assert_int_eq(tiny_close(rt, 0, 0, NULL, NULL), -EBADF);
  ck_assert_int_eq(tiny_post(rt, host_count, NULL), -EBADF);
  ck_assert_int_eq(tiny_call(rt, luaopen_base, NULL, NULL, 0), -EBADF);
}
END_TEST

static void *misuse(void *data) {
  ck_assert_int_eq(tiny_step(data), -EPERM);
  ck_assert_int_eq(tiny_call(data, luaopen_base, NULL, NULL, 0), -EPERM);
  ck_assert_int_eq(tiny_run(data), -EBUSY);
  ck_assert_int_eq(tiny_free(data), -EBUSY);
  return NULL;
}

START_TEST(other_threads_may_not_drive_it) {
  pthread_t thread;
  tiny *rt = host_new("");
  host_until_serving(rt);
  pthread_create(&thread, NULL, misuse, rt);
  pthread_join(thread, NULL);
  ck_assert_int_eq(tiny_free(rt), -EBUSY);
  host_close(rt);
}
END_TEST

static int turn_inside(lua_State *L) {
  tiny *rt = tiny_of(L);
  lua_pushinteger(L, tiny_step(rt) + tiny_run(rt) + tiny_free(rt) +
                         tiny_call(rt, turn_inside, NULL, NULL, 0));
  return 1;
}

static int call_inside(lua_State *L) {
  tiny *rt = tiny_of(L);
  turn_inside(L);
  ck_assert_int_eq(tiny_call(rt, turn_inside, NULL, NULL, 0), -EBUSY);
  return 0;
}

START_TEST(it_is_not_entered_from_inside) {
  host.libraries[0] = (tiny_library){"inside", turn_inside};
  tiny *rt = host_new("function S:on_start() package.loaded.inside = nil self:close(0, "
                      "-require('inside') - 50) end");
  ck_assert_int_eq(host_drive(rt), 4 * EBUSY - 50);
  tiny_free(rt);
  rt = host_new("");
  host_until_serving(rt);
  ck_assert_int_eq(tiny_call(rt, call_inside, NULL, NULL, 0), 0);
  host_close(rt);
}
END_TEST

/* -- Lua ----------------------------------------------------------------------- */

static int add(lua_State *L) {
  lua_pushnumber(L, luaL_checknumber(L, 1) + *(int *)tiny_data(tiny_of(L)));
  return 1;
}

static int open_adder(lua_State *L) {
  luaL_argcheck(L, strcmp(luaL_checkstring(L, 1), "my.adder") == 0, 1, "not its name");
  lua_pushcfunction(L, add);
  return 1;
}

START_TEST(every_generation_gets_the_libraries) {
  int two = 2;
  host.libraries[0] = (tiny_library){"my.adder", open_adder};
  host.data = &two;
  tiny *rt = host_new("local add = require 'my.adder'\n"
                      "function S:on_start() if self.generation < 3 then self:reload() else "
                      "self:close(0, add(3)) end end");
  ck_assert_int_eq(host_drive(rt), 5);
  tiny_free(rt);
}
END_TEST

START_TEST(check_knows_the_libraries_and_prints_nothing) {
  char why[256];
  host_write("server.lua", "require('tiny').log.err('loud') require 'my.adder' return {}");
  tiny_options options = {.conf = host.conf};
  ck_assert_int_eq(tiny_check(&options, why, sizeof why), -1);
  ck_assert_ptr_nonnull(strstr(why, "my.adder"));
  options.libraries = (tiny_library[]){{"my.adder", open_adder}, {NULL, NULL}};
  ck_assert_msg(tiny_check(&options, why, sizeof why) == 0, "%s", why);
}
END_TEST

typedef struct sum {
  int a, b, result;
  bool loading;
} sum;

static int ask_server(lua_State *L) {
  sum *s = lua_touserdata(L, 1);
  s->loading = tiny_loading(L);
  tiny_push_server(L);
  lua_getfield(L, -1, "add");
  lua_insert(L, -2); /* add server */
  lua_pushinteger(L, s->a);
  lua_pushinteger(L, s->b);
  lua_call(L, 3, 1);
  s->result = (int)lua_tointeger(L, -1);
  return 1;
}

START_TEST(a_call_reaches_the_server) {
  char why[512] = "";
  sum s = {.a = 3, .b = 4, .loading = true};
  tiny *rt = host_new("function S:add(a, b) self.context.n = a return a * 10 + b end");
  host_until_serving(rt);
  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(tiny_call(rt, ask_server, &s, why, sizeof why), 0);
  ck_assert_int_eq(s.result, 34);
  ck_assert(!s.loading);
  ck_assert_int_eq(tiny_call(rt, NULL, NULL, NULL, 0), -EINVAL);
  host_close(rt);
}
END_TEST

START_TEST(a_call_that_raises_gives_error_and_traceback_and_spares_on_except) {
  char why[1024], little[4];
  sum s = {0};
  tiny *rt = host_new("function S:add(a, b) error('bad ' .. a) end\n"
                      "function S:on_except() self:close(0, 99) end");
  host_until_serving(rt);
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, why, sizeof why), 1);
  ck_assert_ptr_nonnull(strstr(why, "server.lua:2: bad 0\nstack traceback:"));
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, little, sizeof little), 1);
  ck_assert_int_eq(strlen(little), 3);
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, NULL, 0), 1);
  ck_assert_int_eq(tiny_close(rt, 0, 4, NULL, NULL), 0);
  ck_assert_int_eq(host_drive(rt), 4);
  tiny_free(rt);
}
END_TEST

START_TEST(a_call_may_not_wait) {
  char why[1024];
  sum s = {0};
  tiny *rt = host_new("function S:add() tiny.sleep(1) end");
  host_until_serving(rt);
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, why, sizeof why), 1);
  ck_assert_ptr_nonnull(strstr(why, "tiny.sleep"));
  host_close(rt);
}
END_TEST

START_TEST(what_a_call_asks_for_is_done_in_the_next_turn) {
  sum s = {0};
  tiny *rt = host_new("function S:add() self:close(0, 6) end");
  host_until_serving(rt);
  while (tiny_timeout(rt) == 0) tiny_step(rt);
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, NULL, 0), 0);
  ck_assert_int_eq(tiny_timeout(rt), 0);
  ck_assert_int_eq(host_drive(rt), 6);
  tiny_free(rt);
}
END_TEST

START_TEST(between_two_generations_a_call_is_put_off) {
  sum s = {0};
  int refused = 0;
  tiny *rt = host_new("function S:on_close() tiny.sleep(0.05) end\n"
                      "function S:add() return self.generation end");
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, NULL, 0), -EAGAIN);
  host_until_serving(rt);
  tiny_reload(rt, host_on_done, &host.outcome);
  while (!host.outcome.told) {
    tiny_step(rt);
    int rc = tiny_call(rt, ask_server, &s, NULL, 0);
    ck_assert(rc == 0 || rc == -EAGAIN);
    refused += rc == -EAGAIN;
  }
  ck_assert_int_gt(refused, 0);
  ck_assert_int_eq(tiny_call(rt, ask_server, &s, NULL, 0), 0);
  ck_assert_int_eq(s.result, 2);
  host_close(rt);
}
END_TEST

static int own_state(lua_State *L) {
  tiny_push_server(L);
  return lua_isnil(L, -1) && !tiny_of(L) && !tiny_loading(L) ? 0 : luaL_error(L, "?");
}

START_TEST(a_state_of_the_programs_own_is_none_of_tinys) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, own_state);
  ck_assert_int_eq(lua_pcall(L, 0, 0, 0), 0);
  lua_close(L);
}
END_TEST

/* -- what it leaves alone ---------------------------------------------------------- */

START_TEST(the_log_goes_to_the_program_and_nowhere_else) {
  host.level = TINY_WARN;
  host_quiet(true);
  tiny *rt = host_new("function S:on_start() self:info('low') self:warn('high %d', 5) "
                      "self:close(0, 0) end");
  ck_assert_int_eq(host_drive(rt), 0);
  tiny_free(rt);
  ck_assert_str_eq(host.logged, "2 server.lua:2 high 5\n");
  ck_assert_int_eq(host_quiet(false), 0);
}
END_TEST

START_TEST(signals_stay_as_they_are_unless_asked_for) {
  static const int all[] = {SIGTERM, SIGINT,  SIGHUP,  SIGUSR1, SIGUSR2, SIGQUIT, SIGPIPE,
                            SIGPROF, SIGSEGV, SIGABRT, SIGBUS,  SIGFPE,  SIGALRM, SIGCHLD};
  struct sigaction before[sizeof all / sizeof *all], after;
  struct itimerval span = {{1000, 0}, {1000, 0}}, left;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sigaction(all[i], NULL, &before[i]);
  setitimer(ITIMER_PROF, &span, NULL);
  tiny *rt = host_new("");
  host_until_serving(rt);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sigaction(all[i], NULL, &after);
    ck_assert_msg(after.sa_handler == before[i].sa_handler, "signal %d", all[i]);
  }
  getitimer(ITIMER_PROF, &left);
  ck_assert_int_gt(left.it_value.tv_sec, 900);
  ck_assert_int_eq(left.it_interval.tv_sec, 1000);
  host_close(rt);
  setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
}
END_TEST

START_TEST(no_file_is_left_unless_asked_for) {
  tiny *rt = host_new("");
  host_until_serving(rt);
  ck_assert_int_eq(host_files(), 2); /* conf.lua and server.lua */
  host_close(rt);
  host.control = true;
  rt = host_new("");
  host_until_serving(rt);
  ck_assert_int_eq(host_files(), 5);
  host_close(rt);
  ck_assert_int_eq(host_files(), 2);
}
END_TEST

static atomic_int forced_with;
static void on_forced(void *data, int code) {
  (void)data;
  atomic_store(&forced_with, code);
}

START_TEST(forced_closing_is_told_and_the_process_lives) {
  host.forced = on_forced;
  tiny *rt = host_new("local ffi = require 'ffi' ffi.cdef 'int usleep(unsigned);'\n"
                      "function S:on_start() self:close(0, 5) end\n"
                      "function S:on_close() ffi.C.usleep(900000) end");
  ck_assert_int_eq(host_drive(rt), TINY_EXIT_FORCED);
  ck_assert_int_eq(atomic_load(&forced_with), TINY_EXIT_FORCED);
  tiny_free(rt);
}
END_TEST

/* -- several ------------------------------------------------------------------------ */

static void *run_one(void *data) { return (void *)(intptr_t)tiny_run(data); }

START_TEST(two_run_on_two_threads_at_once) {
  pthread_t threads[2];
  tiny *rts[2];
  void *codes[2];
  for (int i = 0; i < 2; i++) {
    rts[i] = host_new("function S:run() for i = 1, 50 do self.context.n = i tiny.sleep(0.001) end\n"
                      "if self.generation == 3 then self:close(0, 3) else self:reload() end "
                      "tiny.sleep(9) end");
    pthread_create(&threads[i], NULL, run_one, rts[i]);
  }
  for (int i = 0; i < 2; i++) pthread_join(threads[i], &codes[i]);
  ck_assert_ptr_eq(codes[0], (void *)3);
  ck_assert_ptr_eq(codes[1], (void *)3);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(tiny_free(rts[i]), 0);
}
END_TEST

START_TEST(two_share_one_thread) {
  sum s = {0};
  tiny *a = host_new("function S:add() return 1 end");
  host_until_serving(a);
  tiny *b = host_new("");
  host_until_serving(b);
  for (int i = 0; i < 10; i++) {
    ck_assert_int_eq(tiny_call(a, ask_server, &s, NULL, 0), 0);
    ck_assert_int_eq(tiny_step(b), 1);
    ck_assert_int_eq(tiny_step(a), 1);
  }
  host_close(b);
  ck_assert_int_eq(tiny_call(a, ask_server, &s, NULL, 0), 0);
  host_close(a);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("host");
  TCase *cases = tcase_create("host");
  tcase_add_checked_fixture(cases, host_setup, host_teardown);
  tcase_set_timeout(cases, 120);
  const TTest *const tests[] = {
      a_loop_of_ones_own_drives_it_to_its_exit_code,
      an_idle_one_wants_no_turns,
      a_descriptor_wakes_the_loop_of_ones_own,
      a_refused_reload_tells_why,
      closing_is_told_when_it_is_over,
      of_two_delays_the_shorter_one_counts_whichever_was_asked_first,
      a_failed_start_answers_what_was_asked_meanwhile,
      one_that_never_ran_answers_when_it_is_freed,
      work_of_other_threads_is_done_once_and_on_the_loop_thread,
      null_is_refused_everywhere,
      arguments_out_of_range_are_refused,
      a_freed_one_is_known_as_such,
      other_threads_may_not_drive_it,
      it_is_not_entered_from_inside,
      every_generation_gets_the_libraries,
      check_knows_the_libraries_and_prints_nothing,
      a_call_reaches_the_server,
      a_call_that_raises_gives_error_and_traceback_and_spares_on_except,
      a_call_may_not_wait,
      what_a_call_asks_for_is_done_in_the_next_turn,
      between_two_generations_a_call_is_put_off,
      a_state_of_the_programs_own_is_none_of_tinys,
      the_log_goes_to_the_program_and_nowhere_else,
      signals_stay_as_they_are_unless_asked_for,
      no_file_is_left_unless_asked_for,
      forced_closing_is_told_and_the_process_lives,
      two_run_on_two_threads_at_once,
      two_share_one_thread,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(cases, tests[i]);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
