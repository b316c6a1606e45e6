/* SPDX-License-Identifier: MIT
 * test_interrupt.c -- Lua that does not want to stop, and a second thread that stops it. */
#include "guard.h"
#include "interrupt.h"
#include "suite.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS ((uint64_t)1000000)

/* Under ThreadSanitizer a signal only arrives when its thread calls into the C library, so no Lua
 * is ever interrupted there: what remains is how the threads meet. */
#if defined(__SANITIZE_THREAD__)
enum { SIGNALS = 0 };
#else
enum { SIGNALS = 1 };
#endif

static lua_State *L;
static tiny_interrupt *in;

static void say_what(tiny_report *report, const void *what, lua_State *state) {
  (void)state;
  tiny_report_put(report, what);
}

static lua_State *open_vm(void) {
  lua_State *vm = luaL_newstate();
  luaL_openlibs(vm);
  ck_assert_int_eq(lua_cpcall(vm, tiny_guard_open, NULL), 0);
  return vm;
}

static void setup(void) {
  in = tiny_interrupt_open(say_what);
  ck_assert_ptr_nonnull(in);
  L = open_vm();
  ck_assert(tiny_interrupt_hold(in, L));
}

static tiny_stop run(const char *code);

static void teardown(void) {
  run("assert(debug.gethook() ~= 'external hook')");
  ck_assert_int_eq(lua_gettop(L), 0);
  tiny_interrupt_let_go(in, L);
  lua_close(L);
  tiny_interrupt_close(in);
}

static atomic_bool running; /* Lua is about to run: the clock of those who wait for it starts */

/* Run 'code' in a coroutine, as tasks do. Returns why it was stopped. */
static tiny_stop run_in(lua_State *vm, const char *code, uint64_t limit_ns) {
  tiny_stretch stretch = {.L = vm, .what = "the test\n"};
  ck_assert_msg(luaL_loadbuffer(vm, code, strlen(code), "=code") == 0, "%s", lua_tostring(vm, -1));
  lua_State *co = lua_newthread(vm);
  lua_insert(vm, -2);
  lua_xmove(vm, co, 1);
  stretch.running = co;
  tiny_interrupt_enter(in, &stretch, limit_ns);
  running = true;
  int status = lua_resume(co, 0);
  running = false;
  tiny_stop stop = tiny_interrupt_leave(in, &stretch);
  if (stop == TINY_STOP_NONE) ck_assert_msg(status == 0, "%s", lua_tostring(co, -1));
  lua_pop(vm, 1);
  return stop;
}

static tiny_stop run(const char *code) { return run_in(L, code, 0); }

/* A VM is sound when it still computes, compiles, collects and catches. */
static void check_sound(void) {
  ck_assert_int_eq(
      run("local s = 0 for i = 1, 1e6 do s = s + i % 7 end assert(s == 2999998)\n"
          "local t = {} for i = 1, 1e4 do t[i] = {tostring(i)} end\n"
          "assert(#t == 1e4 and t[77][1] == '77') t = nil collectgarbage()\n"
          "assert(not pcall(error, 'x'))\n"
          "local co = coroutine.wrap(function() coroutine.yield(3) end) assert(co() == 3)"),
      TINY_STOP_NONE);
}

static void pause_ms(unsigned ms) {
  nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000L}, NULL);
}

static void wait_for_lua(void) {
  while (!running) pause_ms(1);
  pause_ms(20);
}

static void *stop_later(void *data) {
  wait_for_lua();
  tiny_interrupt_stop(in, TINY_STOP_HUNG);
  return data;
}

/* Run 'code' and stop it; if it does not stop, the test's own time limit ends it. */
static void stop_in(lua_State *vm, const char *code) {
  pthread_t thread;
  pthread_create(&thread, NULL, stop_later, NULL);
  ck_assert_int_eq(run_in(vm, code, 0), TINY_STOP_HUNG);
  pthread_join(thread, NULL);
}

/* Each is a server's way to hang; "spin" is on line 1 of all. */
static const char *const hangs[] = {
    "local function spin() while true do end end spin()",
    "local function spin() local x = 0 while true do x = x + 1 end end spin()",
    "local function spin() local t = {} for i = 1, math.huge do t[i % 100] = i end end spin()",
    "local function spin() while true do pcall(error, 'no') end end spin()",
    "local function spin() while true do pcall(function() while true do end end) end end spin()",
    "local function spin() while true do xpcall(function() while true do end end, debug.traceback) "
    "end end spin()",
    "local function spin() while true do xpcall(function() while true do end end, function() while "
    "true do end end) "
    "end end spin()",
    "local function spin() while true do coroutine.resume(coroutine.create(function() while true "
    "do end end)) end end "
    "spin()",
    "local function spin() while true do pcall(coroutine.wrap(function() while true do "
    "coroutine.yield() end end)) end "
    "end spin()",
    "local m = setmetatable({}, {__index = function() while true do end end}) local function "
    "spin() return m.x + 1 end "
    "spin()",
    "local m = setmetatable({}, {__lt = function() while true do end end}) local function spin() "
    "while m < m do end end "
    "spin()",
    "local function spin() while true do ('x'):gsub('x', function() while true do end end) end end "
    "spin()",
    "local function spin() while true do table.sort({3, 2, 1}, function() while true do end end) "
    "end end spin()",
    "local function spin() while true do local t = {} for i = 1, 100 do t[i] = {i} end end end "
    "spin()",
    "local function spin() while true do load(function() while true do end end) end end spin()",
    "local function spin() while true do load(function() return nil end) end end spin()",
    "local function spin() while true do debug.sethook() end end spin()",
    "local function spin() while true do debug.sethook(function() end, 'l') end end spin()",
    "local function spin() while true do jit.off() jit.on() jit.flush() end end spin()",
    "local function spin() jit.off(true, true) while true do end end spin()",
    "local function spin() return spin() end spin()",
    "local function spin(n) if n > 0 then spin(n - 1) end end while true do spin(100) end",
    "local function spin() for a in ('x'):rep(1e3):gmatch('.') do local b = a end end while true "
    "do spin() end",
    "local function spin() local ffi = require 'ffi' local a = ffi.new('int[8]') while true do for "
    "i = 0, 7 do a[i] = i "
    "end end end spin()",
    "local function spin() local ffi = require 'ffi' ffi.cdef 'int abs(int)' while true do "
    "ffi.C.abs(-1) end end spin()",
    "local function spin() local ffi = require 'ffi' while true do pcall(ffi.cast('void (*)()', "
    "function() while true "
    "do end end)) end end spin()",
    "goto again ::again:: local function spin() while true do require('string').format('%d', 1) "
    "end end spin()",
    "local function spin() while true do loadstring('local x = 1')() end end spin()",
    "local function spin() for i = 1, math.huge do string.rep('x', 1e6) end end spin()",
    "local function spin() while true do local s = '' for i = 1, 100 do s = s .. i end end end "
    "spin()",
};
enum { HANGS = sizeof hangs / sizeof *hangs };

static void check_trace(const char *code) {
  const char *trace = tiny_interrupt_trace(in);
  ck_assert_msg(strstr(trace, "code:1: "), "%s\ntrace: %s", code, trace);
}

START_TEST(every_kind_of_hang_is_stopped_at_its_line) {
  if (!SIGNALS) return;
  stop_in(L, hangs[_i]);
  check_trace(hangs[_i]);
  check_sound();
  stop_in(L, hangs[_i]); /* and again: nothing was used up */
  check_sound();
}
END_TEST

START_TEST(a_vm_that_is_not_held_is_stopped_too) {
  if (!SIGNALS) return;
  lua_State *other = open_vm();
  stop_in(other, hangs[_i]);
  check_trace(hangs[_i]);
  check_sound();
  stop_in(other, "jit.on() while true do end"); /* which must not start the compiler */
  lua_close(other);
}
END_TEST

START_TEST(holding_moves_from_vm_to_vm) {
  if (!SIGNALS) return;
  for (int i = 0; i < 20; i++) {
    lua_State *next = open_vm();
    ck_assert(tiny_interrupt_hold(in, next));
    stop_in(next, hangs[i % 3]);
    stop_in(L, hangs[i % 3]);
    tiny_interrupt_let_go(in, L);
    lua_close(L);
    L = next;
  }
  check_sound();
}
END_TEST

START_TEST(what_returns_from_a_stopped_pcall_to_c_is_reported_as_stopped) {
  if (!SIGNALS) return;
  stop_in(L, "return pcall(function() while true do tostring(1) end end)");
}
END_TEST

START_TEST(a_script_s_own_hook_is_put_back) {
  if (!SIGNALS) return;
  run("count = 0 debug.sethook(function() count = count + 1 end, 'c')");
  stop_in(L, hangs[0]);
  ck_assert_ptr_nonnull((void *)lua_gethook(L));
  run("count = 0 tostring(1) assert(count > 0) debug.sethook()");
}
END_TEST

START_TEST(a_stop_that_finds_no_lua_waits_for_the_next) {
  if (!SIGNALS) return;
  tiny_interrupt_stop(in, TINY_STOP_CLOSE);
  ck_assert_int_eq(run("while true do tostring(1) end"), TINY_STOP_CLOSE);
  tiny_interrupt_stop(in, TINY_STOP_CLOSE);
  tiny_interrupt_spare(in);
  check_sound();
}
END_TEST

START_TEST(spared_lua_runs_to_its_end) {
  tiny_interrupt_slice(in, 5 * MS);
  tiny_interrupt_spare(in);
  tiny_interrupt_stop(in, TINY_STOP_CLOSE);
  ck_assert_int_eq(run("local t = os.clock() while os.clock() < t + 0.05 do end"), TINY_STOP_NONE);
}
END_TEST

START_TEST(slices_end_runaways_only) {
  if (!SIGNALS) return;
  tiny_interrupt_slice(in, 30 * MS);
  for (int i = 0; i < 10; i++) {
    ck_assert_int_eq(run("while true do pcall(function() while true do end end) end"),
                     TINY_STOP_SLICE);
    check_trace("slice");
    for (int k = 0; k < 20; k++)
      ck_assert_int_eq(run("local s = 0 for i = 1, 1e3 do s = s + i end"), TINY_STOP_NONE);
  }
  tiny_interrupt_slice(in, 0);
  check_sound();
}
END_TEST

START_TEST(ten_thousand_slices_do_no_harm) {
  if (!SIGNALS) return;
  tiny_interrupt_slice(in, MS / 5);
  int rounds = getenv("CK_FORK") ? 300 : 10000; /* valgrind's runs */
  for (int i = 0; i < rounds; i++)
    ck_assert_int_eq(run_in(L, hangs[i % HANGS], MS / 10 * (1 + i % 5)), TINY_STOP_LIMIT);
  tiny_interrupt_slice(in, 0);
  check_sound();
  ck_assert_int_lt(lua_gc(L, LUA_GCCOUNT, 0), 10000);
}
END_TEST

START_TEST(a_stretch_may_have_a_limit_of_its_own) {
  if (!SIGNALS) return;
  ck_assert_int_eq(run_in(L, "while true do tostring(1) end", 20 * MS), TINY_STOP_LIMIT);
  tiny_interrupt_slice(in, 5 * MS);
  ck_assert_int_eq(run_in(L, "local t = os.clock() while os.clock() < t + 0.02 do end", 2000 * MS),
                   TINY_STOP_NONE);
}
END_TEST

/* -- looking -- */

typedef struct view {
  bool wait, stop;
  tiny_doing doing;
  char text[4000];
} view;

static void *look_later(void *data) {
  view *v = data;
  if (v->wait) wait_for_lua();
  v->doing = tiny_interrupt_look(in, v->text, sizeof v->text);
  if (v->stop) tiny_interrupt_stop(in, TINY_STOP_CLOSE);
  return NULL;
}

static view look_at(lua_State *vm, const char *code, bool stop) {
  pthread_t thread;
  view v = {.wait = code != NULL, .stop = stop};
  pthread_create(&thread, NULL, look_later, &v);
  if (code)
    ck_assert_int_eq(run_in(vm, code, 0), stop ? TINY_STOP_CLOSE : TINY_STOP_NONE);
  else
    pause_ms(100);
  pthread_join(thread, NULL);
  return v;
}

static const char nested[] = "local function inner()\n"
                             "  local x = 0\n"
                             "  while true do\n"
                             "    x = x + 1\n"
                             "  end\n"
                             "end\n"
                             "local function outer() inner() return 1 end\n"
                             "outer()";

START_TEST(a_look_shows_the_very_line_and_does_no_harm) {
  if (!SIGNALS) return;
  view v = look_at(L, nested, true);
  ck_assert_int_eq(v.doing, TINY_DOING_LUA);
  ck_assert_msg(strncmp(v.text, "the test\n", 9) == 0, "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:4: in function 'inner'") ||
                    strstr(v.text, "code:3: in function 'inner'"),
                "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:7: in function 'outer'"), "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:8: in "), "%s", v.text);
  lua_State *other = open_vm();
  v = look_at(other, nested, true);
  ck_assert_int_eq(v.doing, TINY_DOING_LUA);
  ck_assert_msg(strstr(v.text, "code:7: in function 'outer'"), "%s", v.text);
  lua_close(other);
}
END_TEST

START_TEST(a_look_into_a_coroutine_shows_who_resumed_it) {
  if (!SIGNALS) return;
  view v = look_at(L,
                   "local function body() while true do end end\n"
                   "coroutine.wrap(body)()",
                   true);
  ck_assert_msg(strstr(v.text, "code:1: in function <code:1>"), "%s", v.text);
  ck_assert_msg(strstr(v.text, "resumed by\n"), "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:2: in "), "%s", v.text);
}
END_TEST

START_TEST(a_look_at_nothing_says_so) {
  view v = look_at(L, NULL, false);
  ck_assert_int_eq(v.doing, TINY_DOING_NOTHING);
  ck_assert_str_eq(v.text, "");
}
END_TEST

START_TEST(a_look_into_a_c_call_shows_both_stacks) {
  if (!SIGNALS) return;
  view v = look_at(L,
                   "local function nap() return (os.execute('sleep 0.4')) end\n"
                   "for i = 1, 2 do local x = nap() end",
                   false);
  ck_assert_int_eq(v.doing, TINY_DOING_C);
  ck_assert_msg(strstr(v.text, "wait"), "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:1: "), "%s", v.text);
  ck_assert_msg(strstr(v.text, "code:2: "), "%s", v.text);
}
END_TEST

START_TEST(a_look_into_a_finalizer_is_answered) {
  if (!SIGNALS) return;
  view v = look_at(L,
                   "local ffi = require 'ffi'\n"
                   "local t = os.clock()\n"
                   "ffi.gc(ffi.new('int[1]'), function() while os.clock() < t + 0.5 do end end)\n"
                   "collectgarbage() collectgarbage()",
                   false);
  ck_assert_int_eq(v.doing, TINY_DOING_C);
}
END_TEST

static void take(int signal) { (void)signal; }

static void *pester(void *data) {
  wait_for_lua();
  for (int i = 0; i < 100; i++, pause_ms(1)) pthread_kill(*(pthread_t *)data, SIGUSR1);
  return NULL;
}

START_TEST(a_signal_to_who_looks_does_not_end_the_look) {
  if (!SIGNALS) return;
  pthread_t looking, pestering;
  view v = {.wait = true};
  sigaction(SIGUSR1, &(struct sigaction){.sa_handler = take, .sa_flags = SA_RESTART}, NULL);
  pthread_create(&looking, NULL, look_later, &v);
  pthread_create(&pestering, NULL, pester, &looking);
  ck_assert_int_eq(run("os.execute('sleep 0.4')"), TINY_STOP_NONE);
  pthread_join(pestering, NULL);
  pthread_join(looking, NULL);
  ck_assert_int_eq(v.doing, TINY_DOING_C);
}
END_TEST

/* -- sampling -- */

typedef struct tally {
  int samples, calls;
  char deepest[64];
} tally;

static void count_sample(void *data, lua_State *thread, int samples, int state) {
  tally *t = data;
  lua_Debug frame;
  (void)state;
  t->calls++;
  t->samples += samples;
  if (lua_getstack(thread, 0, &frame) && lua_getinfo(thread, "Sn", &frame) && frame.name)
    strncpy(t->deepest, frame.name, sizeof t->deepest - 1);
}

static void *start_sampling(void *data) {
  tiny_interrupt_sample(in, count_sample, data, 2 * MS);
  return NULL;
}

START_TEST(samples_come_from_compiled_code_until_they_are_ended) {
  if (!SIGNALS) return;
  tally t = {0};
  pthread_t thread;
  pthread_create(&thread, NULL, start_sampling, &t);
  pthread_join(thread, NULL);
  const char *code =
      "local function burn() local t, x = os.clock(), 0\n"
      "while os.clock() < t + 0.3 do for i = 1, 1e5 do x = x + i end end return x end\n"
      "local x = burn()";
  ck_assert_int_eq(run(code), TINY_STOP_NONE);
  tiny_interrupt_sample(in, NULL, NULL, 0);
  ck_assert_int_gt(t.calls, 20);
  ck_assert_int_ge(t.samples, t.calls);
  ck_assert_str_eq(t.deepest, "burn");
  int calls = t.calls;
  ck_assert_int_eq(run(code), TINY_STOP_NONE);
  ck_assert_int_eq(t.calls, calls);
}
END_TEST

/* -- what scripts see -- */

START_TEST(the_library_works_as_before) {
  ck_assert_int_eq(
      run("local parts = {'return ', '1 + ', '1'} local n = 0\n"
          "assert(load(function() n = n + 1 return parts[n] end)() == 2)\n"
          "local _, why = load(function() error('reader', 0) end) assert(why == 'reader', why)\n"
          "local _, bad = load(function() return {} end) assert(bad:find('must return a string'), "
          "bad)\n"
          "assert(load('return x', 'name', 't', {x = 5})() == 5)\n"
          "n = 0 local env = {x = 6} parts = {'return x'}\n"
          "assert(load(function() n = n + 1 return parts[n] end, nil, 't', env)() == 6)\n"
          "local _, syntax = load(function() n = n + 1 return ({'x ='})[n - 2] end, '@file') "
          "assert(syntax:find('^file:1:'))\n"
          "assert(not loadstring('=')) assert(not pcall(load))\n"
          "assert(jit.status()) jit.off() assert(not jit.status()) jit.on() assert(jit.status())\n"
          "local function f() end jit.off(f) jit.on(f, true) jit.off(true, true)\n"
          "assert(not pcall(jit.off, 5)) assert(not pcall(jit.on, print))\n"
          "assert(not pcall(require('jit.profile').start, 'l', print))\n"
          "local seen debug.sethook(function() seen = true end, 'c') tostring(1) debug.sethook() "
          "assert(seen)"),
      TINY_STOP_NONE);
}
END_TEST

START_TEST(a_script_s_wish_about_the_jit_outlives_a_move) {
  run("jit.off()");
  tiny_interrupt_let_go(in, L);
  ck_assert(tiny_interrupt_hold(in, L));
  run("assert(not jit.status()) jit.on() assert(jit.status())");
  tiny_guard_jit(L, TINY_JIT_NEVER);
  run("jit.on() assert(not jit.status())");
  tiny_guard_jit(L, TINY_JIT_ON);
  run("assert(not jit.status())");
}
END_TEST

/* -- several in one process -- */

static void *serve_another(void *data) {
  atomic_bool *held = data;
  tiny_interrupt *mine = tiny_interrupt_open(say_what);
  lua_State *vm = open_vm();
  *held = tiny_interrupt_hold(mine, vm);
  tiny_stretch stretch = {.L = vm, .running = vm};
  luaL_loadstring(vm, "while true do end");
  tiny_interrupt_enter(mine, &stretch, 30 * MS);
  lua_pcall(vm, 0, 0, 0);
  tiny_stop stop = tiny_interrupt_leave(mine, &stretch);
  tiny_interrupt_let_go(mine, vm);
  lua_close(vm);
  tiny_interrupt_close(mine);
  return stop == TINY_STOP_LIMIT ? mine : NULL;
}

START_TEST(a_second_runtime_does_without_compiled_code) {
  if (!SIGNALS) return;
  pthread_t thread;
  atomic_bool held = true;
  void *stopped;
  pthread_create(&thread, NULL, serve_another, &held);
  pthread_join(thread, &stopped);
  ck_assert(!held);
  ck_assert_ptr_nonnull(stopped);
  check_sound();
}
END_TEST

static volatile int foreign;
static void on_foreign(int sig) { foreign += sig == SIGPROF; }

START_TEST(another_s_sigprof_handler_is_kept) {
  tiny_interrupt_let_go(in, L);
  tiny_interrupt_close(in);
  struct sigaction theirs = {.sa_handler = on_foreign}, now;
  sigaction(SIGPROF, &theirs, NULL);
  in = tiny_interrupt_open(say_what);
  ck_assert(tiny_interrupt_hold(in, L));
  check_sound();
  ck_assert_int_eq(foreign, 0);
  tiny_interrupt_let_go(in, L);
  tiny_interrupt_close(in);
  sigaction(SIGPROF, NULL, &now);
  ck_assert_ptr_eq((void *)now.sa_handler, (void *)on_foreign);
  raise(SIGPROF);
  ck_assert_int_eq(foreign, 1);
  in = tiny_interrupt_open(say_what);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("interrupt");
  TCase *c = tcase_create("interrupt");
  tcase_set_timeout(c, 60);
  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_loop_test(c, every_kind_of_hang_is_stopped_at_its_line, 0, HANGS);
  tcase_add_loop_test(c, a_vm_that_is_not_held_is_stopped_too, 0, HANGS);
  tcase_add_test(c, holding_moves_from_vm_to_vm);
  tcase_add_test(c, what_returns_from_a_stopped_pcall_to_c_is_reported_as_stopped);
  tcase_add_test(c, a_script_s_own_hook_is_put_back);
  tcase_add_test(c, a_stop_that_finds_no_lua_waits_for_the_next);
  tcase_add_test(c, spared_lua_runs_to_its_end);
  tcase_add_test(c, slices_end_runaways_only);
  tcase_add_test(c, ten_thousand_slices_do_no_harm);
  tcase_add_test(c, a_stretch_may_have_a_limit_of_its_own);
  tcase_add_test(c, a_look_shows_the_very_line_and_does_no_harm);
  tcase_add_test(c, a_look_into_a_coroutine_shows_who_resumed_it);
  tcase_add_test(c, a_look_at_nothing_says_so);
  tcase_add_test(c, a_look_into_a_c_call_shows_both_stacks);
  tcase_add_test(c, a_look_into_a_finalizer_is_answered);
  tcase_add_test(c, a_signal_to_who_looks_does_not_end_the_look);
  tcase_add_test(c, samples_come_from_compiled_code_until_they_are_ended);
  tcase_add_test(c, the_library_works_as_before);
  tcase_add_test(c, a_script_s_wish_about_the_jit_outlives_a_move);
  tcase_add_test(c, a_second_runtime_does_without_compiled_code);
  tcase_add_test(c, another_s_sigprof_handler_is_kept);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
