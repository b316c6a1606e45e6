/* SPDX-License-Identifier: MIT
 * test_runtime.c -- whole servers run inside the test: a script tells by its exit code
 * whether it saw what it should have. */
#include "suite.h"
#include "tiny.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void write_file(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static void setup(void) {
  snprintf(folder, sizeof folder, "/tmp/tiny-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  write_file(
      "conf.lua",
      "return {['svr.name'] = 'test', ['svr.script'] = 'server.lua', ['svr.monitor'] = false,\n"
      "  ['log.console'] = false, ['svr.close.wait_lock_delay'] = 0.2, ['svr.load_timeout'] = 1,\n"
      "  ['svr.reload_timeout'] = 1, ['svr.timer.run_status_check_time_span'] = 0}");
}

static void teardown(void) { nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

/* Run the script as a server; 'tiny' and S (the class) are there already. */
static int run(const char *script) {
  char conf[96], why[512];
  static char text[8192];
  snprintf(text, sizeof text,
           "local tiny = require 'tiny' local S = tiny.Server:extend()\n%s\nreturn S", script);
  write_file("server.lua", text);
  snprintf(conf, sizeof conf, "%s/conf.lua", folder);
  tiny_options options = {.conf = conf, .control = true};
  tiny *runtime = tiny_new(&options, why, sizeof why);
  ck_assert_msg(runtime != NULL, "%s", why);
  int code = tiny_run(runtime);
  tiny_free(runtime);
  return code;
}

#define SAYS(name, code, script)                                                                   \
  START_TEST(name) { ck_assert_int_eq(run(script), code); }                                        \
  END_TEST

SAYS(a_server_closes_with_its_own_code, 7, "function S:on_start() self:close(0, 7) end")
SAYS(on_close_is_told_the_reason, 3,
     "function S:on_start() self:close(0, 3) end\n"
     "function S:on_close(r) if r ~= 'close' then while true do tiny.sleep(60) end end end")
SAYS(an_error_in_on_start_is_a_failed_start, 1, "function S:on_start() error('no') end")
SAYS(an_error_in_run_goes_on_without_on_except, 5,
     "local n = 0 function S:run() n = n + 1 if n == 1 then error('once') end self:close(0, 5) "
     "tiny.sleep(9) end")
SAYS(an_accepted_error_goes_on, 6,
     "local seen function S:run() if seen then self:close(0, 6) tiny.sleep(9) end error({code = "
     "1}) end\n"
     "function S:on_except(e, trace) seen = e.code == 1 and trace:find('server.lua:2') return true "
     "end")
SAYS(an_error_that_is_not_accepted_ends_with_254, 254,
     "function S:run() error('no') end function S:on_except() end")
SAYS(an_error_in_on_except_ends_with_255, 255,
     "function S:run() error('no') end function S:on_except() error('worse') end")
SAYS(a_nil_error_reaches_on_except, 8,
     "function S:run() error(nil) end function S:on_except(e) if e == nil then self:close(0, 8) "
     "end return true end")
SAYS(os_exit_closes_safely, 9,
     "function S:run() os.exit(9) end function S:on_close(r) assert(r == 'close') end")

SAYS(context_lives_on_across_a_reload, 12,
     "function S:on_start() local c = self.context c.n = (c.n or 0) + 1 c.list = c.list or {{1}, "
     "{2}}\n"
     " c.list.self = c.list if c.n == 1 then self:reload()\n"
     " elseif c.list.self == c.list and c.list[2][1] == 2 and self.generation == 2 then "
     "self:close(0, 12) end end")
SAYS(a_context_with_a_function_refuses_the_reload, 4,
     "function S:on_start() self.starts = (self.starts or 0) + 1\n"
     " if self.starts == 1 then self.context.f = print self:reload()\n"
     " elseif self.generation == 1 then self:close(0, 4) end end")
SAYS(a_failing_new_on_start_brings_the_old_one_back, 21,
     "function S:on_start() self.starts = (self.starts or 0) + 1\n"
     " if self.generation == 2 then error('new one fails') end\n"
     " if self.starts == 2 then self:close(0, 21) else self:reload() end end")
SAYS(when_the_old_one_cannot_come_back_it_ends_with_254, 254,
     "function S:on_start() self.starts = (self.starts or 0) + 1\n"
     " if self.generation == 2 or self.starts == 2 then error('fails') end self:reload() end")
SAYS(a_new_on_start_that_never_ends_is_rolled_back, 22,
     "function S:on_start() if self.generation == 2 then while true do tiny.sleep(1) end end\n"
     " self.starts = (self.starts or 0) + 1 if self.starts == 2 then self:close(0, 22) else "
     "self:reload() end end")
SAYS(an_error_in_old_on_close_does_not_stop_the_reload, 23,
     "function S:on_start() if self.generation == 2 then self:close(0, 23) else self:reload() end "
     "end\n"
     "function S:on_close(reason) if reason == 'reload' then error('no') end end")

SAYS(a_join_gives_results_and_errors, 31,
     "function S:run() local t = tiny.go(function(a) tiny.sleep(0.01) return a, nil, 3 end, 1)\n"
     " local a, b, c = t:join() local u = tiny.go(function() error({x = 5}) end) local ok, e = "
     "pcall(u.join, u)\n"
     " if a == 1 and b == nil and c == 3 and not ok and e.x == 5 then self:close(0, 31) "
     "tiny.sleep(9) end end\n"
     "function S:on_except() return true end")
SAYS(two_tasks_may_join_one, 32,
     "function S:run() local t = tiny.go(function() tiny.sleep(0.01) return 4 end) local n = 0\n"
     " local function j() local v = t:join() n = n + v end local a, b = tiny.go(j), tiny.go(j) "
     "a:join() b:join()\n"
     " if n == 8 and t:join() == 4 then self:close(0, 32) tiny.sleep(9) end end")
SAYS(a_cancelled_task_cleans_up_and_is_no_error, 33,
     "function S:on_except() self:close(0, 99) return true end\n"
     "function S:run() local again, clean local t = tiny.go(function()\n"
     "  local ok, e = pcall(tiny.sleep, 60) clean = not ok and e == tiny.cancelled\n"
     "  ok, e = pcall(tiny.sleep, 60) again = not ok and e == tiny.cancelled tiny.sleep(1) end)\n"
     " tiny.sleep(0.01) t:cancel() tiny.sleep(0.05) t:cancel()\n"
     " if clean and again and t:done() then self:close(0, 33) tiny.sleep(9) end end")
SAYS(an_error_nobody_joins_reaches_on_except_with_its_origin, 34,
     "function S:run() tiny.go(function() error('lost') end) tiny.sleep(9) end\n"
     "function S:on_except(e, trace) if trace:find('lost') and trace:find('started "
     "at:.-server.lua:2') then self:close(0, 34) end return true end")
SAYS(a_wait_in_a_coroutine_of_ones_own_raises, 35,
     "function S:run() local co = coroutine.create(function() tiny.sleep(1) end) local ok, e = "
     "coroutine.resume(co)\n"
     " if not ok and e:find('tiny.go') then self:close(0, 35) end tiny.sleep(9) end")
SAYS(
    a_wait_across_a_c_call_raises, 36,
    "function S:run() local ok, e = pcall(table.sort, {1, 2, 3}, function() tiny.sleep(0.01) end)\n"
    " if not ok and e:find('C call') then self:close(0, 36) end tiny.sleep(9) end")
SAYS(a_wait_while_loading_is_a_failed_start, 1, "tiny.sleep(0)")
SAYS(a_stray_yield_is_an_error_and_no_hang, 37,
     "function S:run() coroutine.yield() end\n"
     "function S:on_except(e) if e:find('coroutine.yield') then self:close(0, 37) end return true "
     "end")
SAYS(a_cancelled_task_that_swallows_everything_does_not_hold_the_close_up, 38,
     "function S:on_start() tiny.go(function() while true do pcall(tiny.sleep, 1) end end) "
     "self:close(0, 38) end")
SAYS(a_script_that_loops_for_ever_is_refused, 1, "while true do end")
SAYS(a_script_that_loops_for_ever_around_pcall_is_refused, 1,
     "while true do pcall(function() while true do end end) end")
SAYS(sleep_0_is_fair, 40,
     "function S:run() local n, m = 0, 0 tiny.go(function() while true do n = n + 1 tiny.sleep(0) "
     "end end)\n"
     " tiny.go(function() while true do m = m + 1 tiny.sleep(0) end end) tiny.sleep(0.05)\n"
     " if n > 10 and math.abs(n - m) <= 2 then self:close(0, 40) end tiny.sleep(9) end")

int main(void) {
  Suite *suite = suite_create("runtime");
  TCase *servers = tcase_create("servers");
  tcase_add_checked_fixture(servers, setup, teardown);
  tcase_set_timeout(servers, 60);
  const TTest *const tests[] = {
      a_server_closes_with_its_own_code,
      on_close_is_told_the_reason,
      an_error_in_on_start_is_a_failed_start,
      an_error_in_run_goes_on_without_on_except,
      an_accepted_error_goes_on,
      an_error_that_is_not_accepted_ends_with_254,
      an_error_in_on_except_ends_with_255,
      a_nil_error_reaches_on_except,
      os_exit_closes_safely,
      context_lives_on_across_a_reload,
      a_context_with_a_function_refuses_the_reload,
      a_failing_new_on_start_brings_the_old_one_back,
      when_the_old_one_cannot_come_back_it_ends_with_254,
      a_new_on_start_that_never_ends_is_rolled_back,
      an_error_in_old_on_close_does_not_stop_the_reload,
      a_join_gives_results_and_errors,
      two_tasks_may_join_one,
      a_cancelled_task_cleans_up_and_is_no_error,
      an_error_nobody_joins_reaches_on_except_with_its_origin,
      a_wait_in_a_coroutine_of_ones_own_raises,
      a_wait_across_a_c_call_raises,
      a_wait_while_loading_is_a_failed_start,
      a_stray_yield_is_an_error_and_no_hang,
      a_cancelled_task_that_swallows_everything_does_not_hold_the_close_up,
      a_script_that_loops_for_ever_is_refused,
      a_script_that_loops_for_ever_around_pcall_is_refused,
      sleep_0_is_fair,
  };
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(servers, tests[i]);
  suite_add_tcase(suite, servers);
  return suite_run(suite);
}
