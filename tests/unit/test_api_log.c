/* SPDX-License-Identifier: MIT
 * test_api_log.c -- from Lua to the console: formats, tables, file and line, levels. */
#include "api_log.h"
#include "log_fixture.h"
#include "modules.h"

#include <lauxlib.h>
#include <lualib.h>

static lua_State *L;

static void set(const char *level, const char *format) {
  configure(json_pack("{ssss}", "log.console.level", level, "log.console.format", format));
  tiny_log_refresh(L);
}

static void open_state(void) {
  L = luaL_newstate();
  luaL_openlibs(L);
  tiny_log_bind(L, lines);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_tiny_log);
  lua_setfield(L, -2, "tiny.core.log");
  for (const tiny_module *m = tiny_modules; m->name; m++) {
    if (strncmp(m->name, "tiny.log", 8) != 0) continue;
    ck_assert_int_eq(luaL_loadbuffer(L, (const char *)m->code, m->size, m->name), 0);
    lua_setfield(L, -2, m->name);
  }
  lua_settop(L, 0);
}

static void run(const char *code) {
  if (luaL_loadbuffer(L, code, strlen(code), "@dir/code.lua") != 0 || lua_pcall(L, 0, 0, 0) != 0) {
    ck_abort_msg("%s", lua_tostring(L, -1));
  }
}

static void setup(void) {
  open_log();
  open_state();
  set("INFO", "%(message)s");
  run("log = require 'tiny.log'");
}

static void teardown(void) {
  ck_assert_int_eq(lua_gettop(L), 0);
  lua_close(L);
  close_log();
}

/* What a call of log.info() with these arguments writes. */
#define SHOWS(arguments, expected)                                                                 \
  do {                                                                                             \
    run("log.info(" arguments ")");                                                                \
    ck_assert_str_eq(output(), expected "\n");                                                     \
  } while (0)

START_TEST(text_alone_is_taken_as_it_is) {
  SHOWS("'100% sure %s'", "100% sure %s");
  SHOWS("''", "");
  SHOWS("'a\\0b'", "a\\x00b");
}
END_TEST

START_TEST(arguments_are_formatted_as_string_format_does) {
  run("formats = {{'%s %d %%', 'x', 5}, {'%s', 1e14}, {'%s', -0.5}, {'%d', -7}, {'%d', 3.7},"
      "{'%5.2f|%-4s|%04x', 1.005, 'ab', 255}, {'%s %s', nil, true}, {'%q', 'a\"b'}, {'%d', '12'},"
      "{'%s', 99999999999999}, {'%s', -99999999999999}, {'%s', 2^53}, {'%d', 2^53}, {'%s', -0.0},"
      "{'%s', 0/0}, {'%s', 1/0}, {'%d', 5LL}, {'%s', 7ULL}, {'%c%c', 65, 66}, {'%5s%%', 'x'}}\n"
      "expected = {}\n"
      "for _, f in ipairs(formats) do\n"
      "  expected[#expected + 1] = string.format(unpack(f, 1, 4)) .. '\\n'\n"
      "  log.info(unpack(f, 1, table.maxn(f) == 1 and 2 or table.maxn(f)))\n"
      "end\n"
      "expected = table.concat(expected)");
  lua_getglobal(L, "expected");
  ck_assert_str_eq(output(), lua_tostring(L, -1));
  lua_pop(L, 1);
}
END_TEST

START_TEST(long_messages_are_formatted_too) {
  run("log.info('%s-%s', ('x'):rep(900), ('y'):rep(900))");
  ck_assert_uint_eq(strlen(output()), 1802);
  ck_assert_int_eq(got[900], '-');
}
END_TEST

START_TEST(a_format_that_does_not_fit_loses_nothing_and_raises_nothing) {
  SHOWS("'%d apples', 'many'", "%d apples [number expected, got string: many]");
  SHOWS("'%s and %s', 1", "%s and %s [value expected: 1]");
  run("log.info('100%', 5)");
  ck_assert_ptr_nonnull(strstr(output(), "100% ["));
  ck_assert_ptr_nonnull(strstr(got, "5]"));
  SHOWS("nil", "nil");
  SHOWS("nil, 'x', {}", "nil {}");
  SHOWS("setmetatable({}, {__tostring = function() error('no') end})",
        "(a message that cannot be shown: dir/code.lua:1: no)");
}
END_TEST

START_TEST(more_arguments_than_the_format_asks_for_are_no_error) { SHOWS("'a %s', 1, 2", "a 1"); }
END_TEST

START_TEST(tables_are_shown) {
  SHOWS("{1, 'two', {3}}", "[1,\"two\",[3]]");
  SHOWS("'conf %s!', {b = 1, a = {x = true}}", "conf {\"a\":{\"x\":true},\"b\":1}!");
  SHOWS("{}", "{}");
  SHOWS("setmetatable({}, {__tostring = function() return 'me' end})", "me");
  SHOWS("'%s', setmetatable({}, {__tostring = function() return 'me' end})", "me");
  run("t = {name = 't'} t.t = t log.info('%s', t)");
  ck_assert_str_eq(output(), "{\"name\":\"t\",\"t\":\"(cycle)\"}\n");
  SHOWS("{f = print and 1, n = 0/0, s = 'q\"\\n', [5] = 2^53}",
        "{\"5\":9.007199254741e+15,\"f\":1,\"n\":\"nan\",\"s\":\"q\\\"\\n\"}");
}
END_TEST

START_TEST(a_table_behind_the_arguments_becomes_the_fields) {
  SHOWS("'user %s', 'x', {id = 5}", "user x {\"id\":5}");
  set("INFO", "json");
  run("log.info('user %s', 'x', {id = 5, level = 'gold', s = 'a\\255'})");
  ck_assert_ptr_nonnull(
      strstr(output(), ",\"msg\":\"user x\",\"id\":5,\"level_\":\"gold\",\"s\":\"a\\\\xff\"}\n"));
  run("log.info {event = 'login'}");
  ck_assert_ptr_nonnull(strstr(output(), ",\"msg\":\"\",\"event\":\"login\"}\n"));
  run("log.info('conf %s', {a = 1})");
  ck_assert_ptr_nonnull(strstr(output(), ",\"msg\":\"conf {\\\"a\\\":1}\"}\n"));
}
END_TEST

START_TEST(huge_tables_are_cut) {
  run("t = {} for i = 1, 100000 do t[i] = i end log.info('%s', t)");
  ck_assert_uint_lt(strlen(output()), 61000);
  run("t = {} for i = 1, 100000 do t['k' .. i] = i end log.info('%s', t)");
  ck_assert_uint_lt(strlen(output()), 100000);
  run("t = {} for i = 1, 1000 do t = {t} end log.info('%s', t)");
  ck_assert_ptr_nonnull(strstr(output(), "[\"...\"]"));
}
END_TEST

START_TEST(file_and_line_are_the_callers) {
  set("INFO", "%(filename)s:%(lineno)d:%(funcName)s");
  run("log.info('x')\n"
      "local self = {}\n"
      "self.debug, self.info, self.warn, self.err = log.methods()\n"
      "function self.work()\n"
      "  self:info('x %s', {1})\n"
      "end\n"
      "self.work()\n"
      "print('x')\n"
      "coroutine.wrap(function() self:err('x') end)()\n");
  ck_assert_str_eq(output(), "code.lua:1:\ncode.lua:5:work\ncode.lua:8:\ncode.lua:9:\n");
}
END_TEST

START_TEST(file_and_line_are_right_in_compiled_code) {
  set("INFO", "%(lineno)d");
  run("jit.opt.start('hotloop=2')\n"
      "for i = 1, 300 do\n"
      "  log.info('n %d', i)\n"
      "end");
  const char *all = output();
  ck_assert_uint_eq(strlen(all), 600);
  for (int i = 0; i < 300; i++) ck_assert_int_eq(strncmp(all + i * 2, "3\n", 2), 0);
}
END_TEST

START_TEST(print_is_a_line_at_info) {
  run("print('a', nil, 1.5, {2})");
  ck_assert_str_eq(output(), "a\tnil\t1.5\t[2]\n");
  set("WARN", "%(message)s");
  run("print('a')");
  ck_assert_str_eq(output(), "");
}
END_TEST

START_TEST(levels_follow_the_log) {
  run("log.debug('no') log.info('i') log.warn('w') log.err('e')");
  ck_assert_str_eq(output(), "i\nw\ne\n");
  set("ERROR", "%(levelname)s");
  run("log.info('no') log.warn('no') log.err('e')");
  ck_assert_str_eq(output(), "ERROR\n");
  tiny_log_set_level(lines, "console", TINY_DEBUG, why, sizeof why);
  tiny_log_refresh(L);
  run("log.debug('d')");
  ck_assert_str_eq(output(), "DEBUG\n");
}
END_TEST

START_TEST(a_state_without_a_log_is_told_so) {
  lua_State *other = luaL_newstate();
  tiny_log_refresh(other); /* harmless */
  lua_pushcfunction(other, luaopen_tiny_log);
  ck_assert_int_ne(lua_pcall(other, 0, 0, 0), 0);
  ck_assert_str_eq(lua_tostring(other, -1), "this state is not bound to a log");
  lua_close(other);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("lua");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, text_alone_is_taken_as_it_is);
  tcase_add_test(tests, arguments_are_formatted_as_string_format_does);
  tcase_add_test(tests, long_messages_are_formatted_too);
  tcase_add_test(tests, a_format_that_does_not_fit_loses_nothing_and_raises_nothing);
  tcase_add_test(tests, more_arguments_than_the_format_asks_for_are_no_error);
  tcase_add_test(tests, tables_are_shown);
  tcase_add_test(tests, a_table_behind_the_arguments_becomes_the_fields);
  tcase_add_test(tests, huge_tables_are_cut);
  tcase_add_test(tests, file_and_line_are_the_callers);
  tcase_add_test(tests, file_and_line_are_right_in_compiled_code);
  tcase_add_test(tests, print_is_a_line_at_info);
  tcase_add_test(tests, levels_follow_the_log);
  tcase_add_test(tests, a_state_without_a_log_is_told_so);
  return run_suites("api_log", (TCase *[]){tests, NULL});
}
