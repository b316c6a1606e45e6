/* SPDX-License-Identifier: MIT
 * test_log_crash.c -- what a crash leaves behind: every line put before, then why, in each
 * sink that takes it, soon, whatever the others do. */
#include "log_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LINES 3000

/* The children have logs, not we. */
static void setup(void) {
  make_folder();
  open_console();
}

static void teardown(void) {
  close_console();
  remove_folder();
}

static const char last_words[] = "crashed by SIGSEGV\n  at there";

static void on_crash(int number) {
  tiny_log_crash(lines, last_words, sizeof last_words - 1);
  tiny_log_crash(lines, "twice", 5); /* of no effect */
  signal(number, SIG_DFL);
  raise(number);
}

static void set_up_crash(void) {
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
  static char stack[64 * 1024];
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternative, NULL);
  sigaction(SIGSEGV, &action, NULL);
}

static void put_numbers(int count) {
  char text[40];
  for (int i = 0; i < count; i++) {
    snprintf(text, sizeof text, "number %d", i);
    put(TINY_INFO, text);
  }
}

static json_t *to_file(void) {
  return json_pack("{ssss}", "log.file_log", "app.log", "log.file_log.level", "INFO");
}

/* Run 'crash' in a child with a log of its own. Returns how long it took, in seconds. */
static double crash_in_child(void (*crash)(void)) {
  struct timespec from, to;
  int status;
  clock_gettime(CLOCK_MONOTONIC, &from);
  pid_t child = fork();
  if (child == 0) {
    lines = tiny_log_open();
    set_up_crash();
    crash();
    _exit(0);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFSIGNALED(status));
  ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
  clock_gettime(CLOCK_MONOTONIC, &to);
  return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static void check_file(int count) {
  const char *at = content("app.log");
  char expected[40];
  ck_assert_ptr_nonnull(at);
  for (int i = 0; i < count; i++) {
    int size = snprintf(expected, sizeof expected, "number %d\n", i);
    ck_assert_int_eq(strncmp(at, expected, (size_t)size), 0);
    at += size;
  }
  ck_assert_str_eq(at, "crashed by SIGSEGV\n      at there\n");
}

static void crash_at_once(void) {
  configure(to_file());
  put_numbers(LINES);
  raise(SIGSEGV);
}

START_TEST(every_line_and_the_reason_are_in_the_file_and_on_the_console) {
  static char all[1 << 20];
  crash_in_child(crash_at_once);
  check_file(LINES);
  ssize_t n = read(console, all, sizeof all - 1);
  all[n > 0 ? n : 0] = 0;
  ck_assert_ptr_nonnull(strstr(all, "INFO number 0\n"));
  ck_assert_ptr_nonnull(strstr(all, "INFO number 2999\nERROR crashed by SIGSEGV\n"));
}
END_TEST

static void *put_then_crash(void *data) {
  put_numbers(LINES);
  raise(SIGSEGV);
  return data;
}

static void crash_in_a_thread(void) {
  pthread_t thread;
  configure(to_file());
  pthread_create(&thread, NULL, put_then_crash, NULL);
  pthread_join(thread, NULL);
}

START_TEST(any_thread_may_crash) {
  crash_in_child(crash_in_a_thread);
  check_file(LINES);
}
END_TEST

static void crash_when_told(void *data) {
  (void)data;
  raise(SIGSEGV);
}

/* The log thread itself, with lines before and behind it in the ring. */
static void crash_on_the_log_thread(void) {
  put_numbers(LINES);
  tiny_log_on_threshold(lines, crash_when_told, NULL);
  configure(to_file());
  tiny_log_set_level(lines, "console", TINY_WARN, why, sizeof why);
  nap_ms(5000);
}

START_TEST(the_log_thread_may_crash_too) {
  crash_in_child(crash_on_the_log_thread);
  check_file(LINES);
}
END_TEST

static void crash_with_a_stalled_console(void) {
  configure(to_file());
  put_numbers(LINES);
  tiny_log_flush(lines, 1000);
  raise(SIGSEGV);
}

START_TEST(a_stalled_console_holds_a_crash_up_for_a_moment_only) {
  fcntl(console, F_SETPIPE_SZ, 4096);
  double seconds = crash_in_child(crash_with_a_stalled_console);
  check_file(LINES);
  ck_assert_double_lt(seconds, 5);
}
END_TEST

static void crash_unconfigured(void) {
  put_numbers(3);
  raise(SIGSEGV);
}

START_TEST(before_it_is_configured_everything_goes_to_stderr) {
  crash_in_child(crash_unconfigured);
  ssize_t n = read(console, got, sizeof got - 1);
  got[n > 0 ? n : 0] = 0;
  ck_assert_str_eq(got, "number 0\nnumber 1\nnumber 2\ncrashed by SIGSEGV\n      at there\n");
}
END_TEST

static void crash_with_syslog(void) {
  configure(json_pack("{sbssss}", "log.syslog", 1, "log.syslog.address", "dev_log",
                      "log.syslog.facility", "user"));
  put(TINY_WARN, "before");
  raise(SIGSEGV);
}

START_TEST(syslog_hears_of_it) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("dev_log"));
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  crash_in_child(crash_with_syslog);
  got[recv(fd, got, sizeof got - 1, MSG_DONTWAIT)] = 0;
  ck_assert_ptr_nonnull(strstr(got, ": before"));
  ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
  ck_assert_int_gt(n, 0);
  got[n] = 0;
  ck_assert_ptr_nonnull(strstr(got, ": crashed by SIGSEGV"));
  close(fd);
}
END_TEST

static void crash_with_a_new_ring(void) {
  configure(to_file());
  for (int i = 0; i < 6; i++) {
    json_t *keys = to_file();
    json_object_set_new(keys, "log.buffer", json_integer(300000 + i % 2 * 200000));
    configure(keys);
  }
  put_numbers(LINES);
  raise(SIGSEGV);
}

START_TEST(rings_that_wait_behind_each_other_are_all_written) {
  crash_in_child(crash_with_a_new_ring);
  check_file(LINES);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("crash");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, every_line_and_the_reason_are_in_the_file_and_on_the_console);
  tcase_add_test(tests, any_thread_may_crash);
  tcase_add_test(tests, the_log_thread_may_crash_too);
  tcase_add_test(tests, a_stalled_console_holds_a_crash_up_for_a_moment_only);
  tcase_add_test(tests, before_it_is_configured_everything_goes_to_stderr);
  tcase_add_test(tests, syslog_hears_of_it);
  tcase_add_test(tests, rings_that_wait_behind_each_other_are_all_written);
  return run_suite("log_crash", tests);
}
