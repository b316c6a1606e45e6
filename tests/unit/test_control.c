/* SPDX-License-Identifier: MIT
 * test_control.c -- requests, signals and the deadlines of closing, whatever the loop thread does. */
#include "fake_runtime.h"
#include "suite.h"

#include <signal.h>
#include <sys/wait.h>

static void setup(void) {
  fake_setup();
  fake.signals = true;
}

#define HANG(since) tiny_state_hung(&fake.state, since, "x.lua:1: in function <x.lua:1>")

/* -- requests ---------------------------------------------------------------- */

START_TEST(a_reload_is_answered_with_its_outcome) {
  fake_start();
  exchange("{\"do\":\"reload\"}", true, "reloaded: generation 7, pause 0.8 ms");
  atomic_store(&fake.refuse, true);
  exchange("{\"do\":\"reload\"}", false, "generation 6 goes on");
  ck_assert_int_eq(fake.reloads, 2);
  fake_end_loop();
}
END_TEST

START_TEST(status_is_answered_while_the_loop_is_away) {
  fake_start();
  fake_keep_busy();
  check_serves();
  HANG(uv_hrtime());
  json_t *answer = client_answer(client_ask("{\"do\":\"status\"}"));
  const json_t *info = json_object_get(answer, "info");
  ck_assert_str_eq(json_string_value(json_object_get(info, "state")), "hung");
  ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(info, "hung_stack")), "x.lua:1"));
  json_decref(answer);
  fake_let_go();
  fake_end_loop();
}
END_TEST

START_TEST(a_reload_is_refused_while_hung_also_when_it_waits_already) {
  fake_start();
  fake_keep_busy();
  int waits = client_ask("{\"do\":\"reload\"}");
  HANG(uv_hrtime());
  check_answer(client_answer(waits), false, "refused: hung");
  exchange("{\"do\":\"reload\"}", false, "refused: hung");
  exchange("{\"do\":\"eval\",\"code\":\"return 1\"}", false, "busy: Lua has been running for ");
  HANG(0);
  fake_let_go();
  exchange("{\"do\":\"reload\"}", true, "reloaded");
  ck_assert_int_eq(fake.reloads, 1);
  ck_assert_int_eq(fake.evals, 0);
  fake_end_loop();
}
END_TEST

START_TEST(an_eval_brings_its_results_or_the_word_that_lua_is_busy) {
  fake_start();
  exchange("{\"do\":\"eval\",\"code\":\"return 'a\\nb'\"}", true, "return 'a\nb'");
  ck_assert_int_eq(fake.evals, 1);
  fake_keep_busy();
  exchange("{\"do\":\"eval\",\"code\":\"x()\",\"timeout\":0.2}", false,
           "busy: Lua has been running for ");
  fake_let_go();
  exchange("{\"do\":\"reload\"}", true, "reloaded");
  ck_assert_int_eq(fake.evals, 1); /* what was told "busy" has not run later */
  fake_end_loop();
}
END_TEST

static const struct {
  const char *request, *text;
  bool ok;
} levels[] = {
    {"{\"do\":\"loglevel\",\"level\":\"debug\"}", "all sinks: DEBUG", true},
    {"{\"do\":\"loglevel\",\"level\":\"WARN\",\"sink\":\"console\"}", "log.console is off", false},
    {"{\"do\":\"loglevel\",\"level\":\"LOUD\"}", "unknown level \"LOUD\"", false},
    {"{\"do\":\"loglevel\"}", "unknown level \"\"", false},
    {"{\"do\":\"loglevel\",\"level\":\"WARN\",\"sink\":\"pigeon\"}", "unknown sink \"pigeon\"",
     false},
};

START_TEST(a_log_level_is_set_or_refused_by_name) {
  fake_start();
  exchange(levels[_i].request, levels[_i].ok, levels[_i].text);
  fake_end_loop();
}
END_TEST

/* -- closing ----------------------------------------------------------------- */

START_TEST(those_who_asked_for_the_closing_are_told_at_its_end) {
  fake.forced = _i == 1;
  fake_start();
  int one = client_ask("{\"do\":\"close\"}"), two = client_ask("{\"do\":\"close\"}");
  fake_await(&fake.closes, 1);
  check_serves();
  fake_end_loop();
  check_answer(client_answer(one), !fake.forced, fake.forced ? "had to be forced" : "closed");
  check_answer(client_answer(two), !fake.forced, fake.forced ? "had to be forced" : "closed");
  ck_assert_int_eq(fake.closes, 1);
  ck_assert_int_eq(fake.ends, 0);
}
END_TEST

START_TEST(a_reload_that_waits_at_the_end_is_told) {
  fake_start();
  fake_keep_busy();
  fake_call(fake_stop);
  int waits = client_ask("{\"do\":\"reload\"}");
  check_serves(); /* the reload has been posted by now, behind the stop */
  fake_let_go();
  pthread_join(fake.thread, NULL);
  json_t *answer = client_answer(waits);
  const char *text = json_string_value(json_object_get(answer, "text"));
  ck_assert(strstr(text, "reloaded") || strstr(text, "the server has closed"));
  json_decref(answer);
}
END_TEST

START_TEST(closing_is_forced_when_the_loop_does_not_come) {
  fake.force = 0.3;
  fake.wait = 0.1;
  fake_start();
  fake_keep_busy();
  exchange("{\"do\":\"close\"}", false, "had to be forced");
  fake_await(&fake.ends, 1);
  ck_assert_int_eq(fake.end_code, 252);
  ck_assert_int_eq(fake.overdues, 1);
  ck_assert_int_eq(access(fake.socket, F_OK), -1);
  fake_let_go();
  fake_end_loop();
}
END_TEST

START_TEST(the_sooner_deadline_counts) {
  fake_start();
  tiny_control_deadline(fake.control, UINT64_MAX);
  tiny_control_deadline(fake.control, 100);
  tiny_control_deadline(fake.control, 1000000);
  fake_await(&fake.ends, 1);
  ck_assert_int_eq(fake.end_code, 252);
  fake_end_loop();
}
END_TEST

/* -- signals ----------------------------------------------------------------- */

static const int reloading[] = {SIGHUP, SIGUSR1};

START_TEST(hup_and_usr1_reload) {
  fake_start();
  kill(getpid(), reloading[_i]);
  fake_await(&fake.reloads, 1);
  fake_end_loop();
}
END_TEST

START_TEST(a_flood_of_signals_while_lua_is_busy_is_one_reload) {
  fake_start();
  fake_keep_busy();
  for (int i = 0; i < 10000; i++) kill(getpid(), SIGHUP);
  check_serves();
  fake_let_go();
  fake_await(&fake.reloads, 1);
  exchange("{\"do\":\"reload\"}", true, "reloaded");
  ck_assert_int_le(fake.reloads, 3);
  fake_end_loop();
}
END_TEST

START_TEST(a_reload_by_signal_is_refused_while_hung) {
  fake_start();
  HANG(uv_hrtime());
  kill(getpid(), SIGHUP);
  for (;;) {
    json_t *answer = client_answer(client_ask("{\"do\":\"status\"}"));
    const json_t *result = json_object_get(json_object_get(answer, "info"), "last_reload_result");
    bool refused = json_is_string(result);
    if (refused) ck_assert_str_eq(json_string_value(result), "refused: hung");
    json_decref(answer);
    if (refused) break;
    usleep(1000);
  }
  ck_assert_int_eq(fake.reloads, 0);
  HANG(0);
  fake_end_loop();
}
END_TEST

static const int stopping[] = {SIGTERM, SIGINT};

START_TEST(the_first_term_or_int_closes_and_the_second_ends) {
  fake_start();
  kill(getpid(), stopping[_i]);
  fake_await(&fake.closes, 1);
  ck_assert_int_eq(fake.ends, 0);
  int waits = client_ask("{\"do\":\"close\"}");
  check_serves();
  kill(getpid(), SIGTERM);
  fake_await(&fake.ends, 1);
  ck_assert_int_eq(fake.end_code, 252);
  check_answer(client_answer(waits), false, "had to be forced");
  fake_end_loop();
}
END_TEST

START_TEST(quit_calls_for_the_stack_and_usr2_and_pipe_do_no_harm) {
  fake_start();
  kill(getpid(), SIGPIPE);
  kill(getpid(), SIGUSR2);
  kill(getpid(), SIGQUIT);
  fake_await(&fake.stacks, 1);
  check_serves();
  fake_end_loop();
  ck_assert_int_eq(fake.reloads + fake.closes + fake.ends, 0);
}
END_TEST

/* What /proc says of the standard signals in a shell that we start: blocked or ignored. */
static unsigned long shell_signals(const char *field) {
  char command[80], line[64] = "";
  snprintf(command, sizeof command, "grep %s: /proc/self/status | cut -f2", field);
  FILE *shell = popen(command, "r");
  ck_assert_ptr_nonnull(fgets(line, sizeof line, shell));
  pclose(shell);
  return strtoul(line, NULL, 16) & 0x7fffffff;
}

START_TEST(children_inherit_no_blocked_and_no_ignored_signals) {
  fake_open(); /* on this thread, which starts the shells */
  ck_assert_uint_eq(shell_signals("SigBlk"), 0);
  ck_assert_uint_eq(shell_signals("SigIgn"), 0);
  fake_close();
}
END_TEST

static void on_own(int signal) { (void)signal; }

START_TEST(dispositions_and_the_mask_are_given_back) {
  struct sigaction now;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  signal(SIGHUP, on_own);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &mask, NULL);
  fake_open();
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  ck_assert_int_eq(sigismember(&mask, SIGUSR1), 0);
  fake_close();
  sigaction(SIGHUP, NULL, &now);
  ck_assert_ptr_eq(now.sa_handler, on_own);
  sigaction(SIGPIPE, NULL, &now);
  ck_assert_ptr_eq(now.sa_handler, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  ck_assert_int_eq(sigismember(&mask, SIGUSR1), 1);
  sigemptyset(&mask);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  signal(SIGHUP, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
}
END_TEST

START_TEST(only_one_runtime_has_the_signals) {
  char why[128];
  fake_start();
  tiny_control_parts parts = {
      .state = &fake.state, .log = fake.log, .inbox = fake.inbox, .signals = true, .end = fake_end};
  ck_assert_ptr_null(tiny_control_open(&parts, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "busy"));
  parts.signals = false;
  tiny_control *second = tiny_control_open(&parts, why, sizeof why);
  ck_assert_ptr_nonnull(second);
  kill(getpid(), SIGHUP);
  fake_await(&fake.reloads, 1);
  tiny_control_close(second, false);
  fake_end_loop();
}
END_TEST

/* Signals come all the while, also in the moments in which nobody has them any more. */
START_TEST(signals_during_opening_and_closing_do_no_harm) {
  int status;
  signal(SIGHUP, on_own);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    while (getppid() == parent && kill(parent, SIGHUP) == 0) {}
    _exit(0);
  }
  for (int i = 0; i < 100; i++) {
    fake_open();
    fake_close();
  }
  kill(child, SIGKILL);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  signal(SIGHUP, SIG_DFL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("control");
  TCase *tc = tcase_create("control");
  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, setup, fake_teardown);
  tcase_add_test(tc, a_reload_is_answered_with_its_outcome);
  tcase_add_test(tc, status_is_answered_while_the_loop_is_away);
  tcase_add_test(tc, a_reload_is_refused_while_hung_also_when_it_waits_already);
  tcase_add_test(tc, an_eval_brings_its_results_or_the_word_that_lua_is_busy);
  tcase_add_loop_test(tc, a_log_level_is_set_or_refused_by_name, 0, sizeof levels / sizeof *levels);
  tcase_add_loop_test(tc, those_who_asked_for_the_closing_are_told_at_its_end, 0, 2);
  tcase_add_test(tc, a_reload_that_waits_at_the_end_is_told);
  tcase_add_test(tc, closing_is_forced_when_the_loop_does_not_come);
  tcase_add_test(tc, the_sooner_deadline_counts);
  tcase_add_loop_test(tc, hup_and_usr1_reload, 0, 2);
  tcase_add_test(tc, a_flood_of_signals_while_lua_is_busy_is_one_reload);
  tcase_add_test(tc, a_reload_by_signal_is_refused_while_hung);
  tcase_add_loop_test(tc, the_first_term_or_int_closes_and_the_second_ends, 0, 2);
  tcase_add_test(tc, quit_calls_for_the_stack_and_usr2_and_pipe_do_no_harm);
  tcase_add_test(tc, children_inherit_no_blocked_and_no_ignored_signals);
  tcase_add_test(tc, dispositions_and_the_mask_are_given_back);
  tcase_add_test(tc, only_one_runtime_has_the_signals);
  tcase_add_test(tc, signals_during_opening_and_closing_do_no_harm);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
