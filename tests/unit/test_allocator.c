/* SPDX-License-Identifier: MIT
 * test_allocator.c -- a VM under a memory limit. */
#include "allocator.h"
#include "guard.h"
#include "suite.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#define MB ((size_t)1024 * 1024)

static lua_State *L;
static tiny_allocator allocator;

static void setup(void) {
  L = luaL_newstate();
  luaL_openlibs(L);
  ck_assert_int_eq(lua_cpcall(L, tiny_guard_open, NULL), 0);
  tiny_guard_jit(L, TINY_JIT_NEVER);
  ck_assert_int_eq(tiny_allocator_limit(&allocator, L, 32 * MB), 0);
}

/* What LuaJIT has counted; it forgets the upvalues' slots of a closure that it could not complete. */
static void assert_counted(void) {
  size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  ck_assert_uint_ge(allocator.used, counted);
  ck_assert_uint_lt(allocator.used, counted + 100);
}

static void teardown(void) {
  ck_assert_uint_le(allocator.used, allocator.limit);
  assert_counted();
  tiny_allocator_close(&allocator, L);
}

static int run(const char *code) {
  int rc = luaL_loadstring(L, code) || lua_pcall(L, 0, 0, 0);
  if (rc == 0) return 0;
  ck_assert_msg(lua_isstring(L, -1), "an error without a message");
  tiny_allocator_recover(&allocator, L);
  return rc;
}

static void run_ok(const char *code) { ck_assert_msg(run(code) == 0, "%s", lua_tostring(L, -1)); }

/* Each needs more than there is. */
static const char *const eaters[] = {
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "local t = {} for i = 1, 1e9 do t[i] = {i} end",
    "local t = {} for i = 1, 1e9 do t[i] = tostring(i) end",
    "local t = {} for i = 1, 1e9 do t['k' .. i] = true end",
    "local s = 'x' while true do s = s .. s end",
    "return ('x'):rep(1e9)",
    "local t = {} for i = 1, 1e9 do t[i] = function() return i end end",
    "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end",
    "local t = {} for i = 1, 1e9 do t[i] = newproxy() end",
    "local ffi = require 'ffi' local t = {} for i = 1, 1e9 do t[i] = ffi.new('char[1000]') end",
    "local b = require 'string.buffer'.new() while true do b:put(('x'):rep(1e6)) end",
    "local t = {} for i = 1, 1e9 do t[i] = loadstring('local a = ' .. i .. ' return a') end",
    "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(1000) .. i end return table.concat(t)",
    "local function f(...) return f(1, ...) end f()",
};
enum { EATERS = sizeof eaters / sizeof *eaters };

START_TEST(every_kind_of_excess_is_an_error_and_not_the_end) {
  for (int round = 0; round < 2; round++) {
    ck_assert_int_ne(run(eaters[_i]), 0);
    lua_pop(L, 1);
    run_ok("local t = {} for i = 1, 1e5 do t[i] = {i} end assert(#t == 1e5)");
  }
  tiny_allocator_recover(&allocator, L);
  ck_assert_uint_lt(allocator.used, 16 * MB);
}
END_TEST

/* The share of a limit that is of use: 'keep' MB of live data, and ten times that of garbage. */
static int survives(int keep) {
  lua_pushinteger(L, keep);
  lua_setglobal(L, "keep");
  return run("live = nil collectgarbage() live = {}\n"
             "for i = 1, keep * 1024 do live[i] = ('x'):rep(1000 - #tostring(i)) .. i end\n"
             "for round = 1, 10 do for i = 1, keep * 1024 do\n"
             "  live[i] = ('y'):rep(1000 - #tostring(i)) .. i local junk = {i, {i}} end end");
}

START_TEST(three_quarters_of_the_limit_hold_live_data) {
  ck_assert_msg(survives(8) == 0, "%s", lua_tostring(L, -1));
  ck_assert_msg(survives(16) == 0, "%s", lua_tostring(L, -1));
  ck_assert_msg(survives(24) == 0, "%s", lua_tostring(L, -1));
}
END_TEST

START_TEST(the_collector_is_left_alone_again_when_there_is_room) {
  ck_assert_int_eq(survives(22), 0);
  run_ok("live = nil collectgarbage() collectgarbage() for i = 1, 10 do local t = {i} end");
  ck_assert_int_eq(lua_gc(L, LUA_GCSETPAUSE, 200), 200);
}
END_TEST

START_TEST(a_collector_that_was_stopped_stays_stopped) {
  run_ok("collectgarbage('stop') gone = false getmetatable(newproxy(true)).__gc = function() gone "
         "= true end\n"
         "local t = {} for i = 1, 2e5 do t[i] = {i} end t = nil assert(not gone)\n"
         "collectgarbage('restart') collectgarbage() assert(gone)");
}
END_TEST

START_TEST(a_limit_that_is_used_up_already_is_refused) {
  lua_State *other = luaL_newstate();
  tiny_allocator small;
  luaL_openlibs(other);
  ck_assert_int_eq(tiny_allocator_limit(&small, other, 50000), -1);
  lua_close(other);
}
END_TEST

static int spend(lua_State *state) {
  lua_newuserdata(state, 200 * 1024);
  lua_setglobal(state, "spent");
  return 0;
}

START_TEST(what_was_spared_and_is_kept_goes_over_a_small_limit) {
  lua_State *other = luaL_newstate();
  tiny_allocator small;
  luaL_openlibs(other);
  ck_assert_int_eq(lua_cpcall(other, tiny_guard_open, NULL), 0);
  tiny_guard_jit(other, TINY_JIT_NEVER);
  ck_assert_int_eq(tiny_allocator_limit(&small, other, MB), 0);
  ck_assert_int_eq(luaL_dostring(other, "live = {} while pcall(function() live[#live + 1] = "
                                        "('x'):rep(2000) .. #live end) do end"),
                   0);
  ck_assert_int_eq(tiny_allocator_call(&small, other, spend, NULL), 0);
  ck_assert_uint_gt(small.used, MB + MB / 16);
  lua_pushnil(other);
  lua_setglobal(other, "spent");
  lua_gc(other, LUA_GCCOLLECT, 0);
  ck_assert_uint_le(small.used, MB);
  ck_assert_int_eq(small.pressure, 3);
  tiny_allocator_close(&small, other);
}
END_TEST

/* Pages that the process has mapped. */
static long mapped(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
  fclose(file);
  return pages;
}

START_TEST(a_state_that_is_closed_leaves_nothing_mapped) {
  long before = 0;
  for (int i = 0; i < 8; i++) {
    run_ok("local t = {} for i = 1, 150 do t[i] = ('x'):rep(1e5) .. i end");
    teardown();
    if (i == 3) before = mapped();
    setup();
  }
  ck_assert_int_lt((mapped() - before) * 4096, 8 * (long)MB);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("allocator");
  TCase *c = tcase_create("allocator");
  tcase_set_timeout(c, 100);
  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_loop_test(c, every_kind_of_excess_is_an_error_and_not_the_end, 0, EATERS);
  tcase_add_test(c, three_quarters_of_the_limit_hold_live_data);
  tcase_add_test(c, the_collector_is_left_alone_again_when_there_is_room);
  tcase_add_test(c, a_collector_that_was_stopped_stays_stopped);
  tcase_add_test(c, a_limit_that_is_used_up_already_is_refused);
  tcase_add_test(c, what_was_spared_and_is_kept_goes_over_a_small_limit);
  tcase_add_test(c, a_state_that_is_closed_leaves_nothing_mapped);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
