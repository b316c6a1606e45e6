/* SPDX-License-Identifier: MIT
 * test_crash.c -- processes that die, and what they say last. */
#include "crash.h"
#include "suite.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The sanitizers have handlers of their own for these signals, and end the process in their own
 * way. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DIES_OF_SIGNAL = 0 };
#else
enum { DIES_OF_SIGNAL = 1 };
#endif

static int said[2];
static char words[32768];

static void describe(void *data, tiny_report *report) { tiny_report_put(report, data); }

static void write_down(void *data, const char *text, size_t size) {
  (void)data;
  while (size > 0) {
    ssize_t n = write(said[1], text, size);
    if (n <= 0) return;
    text += n, size -= (size_t)n;
  }
}

static volatile int zero;
static int *volatile nowhere;

#define ON_PURPOSE __attribute__((no_sanitize("undefined")))
ON_PURPOSE static void segfault(void) { *nowhere = 1; }
ON_PURPOSE static void divide(void) { zero = 5 / zero; }
static void kill_self(void) { kill(getpid(), SIGBUS); }

static int overflow(int n);
static int (*volatile deeper)(int) = overflow;
static int overflow(int n) {
  volatile char page[4096];
  page[n & 4095] = (char)n;
  return deeper(n + 1) + page[(n + 1) & 4095];
}
static void exhaust_stack(void) { zero = overflow(0); }

enum { THREADS = 8 };
static pthread_t threads[THREADS];
static pthread_barrier_t all_there;

static void *hurry(void *data) {
  (void)data;
  pthread_barrier_wait(&all_there);
  abort();
}

static void on_signal(int signal) { (void)signal; }

static void crash_everywhere(void) {
  signal(SIGUSR1, on_signal);
  pthread_barrier_init(&all_there, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, hurry, NULL);
  pthread_barrier_wait(&all_there);
  for (;;) pause();
}

/* Take a while, in which the others that have crashed are sent signals. */
static void disturb(void *data, tiny_report *report) {
  for (int i = 0; i < 20 * THREADS; i++) {
    pthread_t thread = threads[i % THREADS];
    if (!pthread_equal(thread, pthread_self())) pthread_kill(thread, SIGUSR1);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  describe(data, report);
}

static void crash_again(void *data, tiny_report *report) {
  (void)data;
  tiny_report_put(report, "not the last words\n");
  segfault();
}

/* Let a child crash, and gather what it says. Returns how it died, as by wait(). */
static int crash_with(void (*crash)(void), void (*tell)(void *, tiny_report *)) {
  ck_assert_int_eq(pipe(said), 0);
  pid_t child = fork();
  if (child == 0) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    tiny_crash_parts parts = {tell, write_down, "generation 7\n"};
    tiny_crash_open(&parts);
    tiny_crash_stack_open();
    crash();
    _exit(0);
  }
  close(said[1]);
  size_t used = 0;
  for (ssize_t n; (n = read(said[0], words + used, sizeof words - 1 - used)) > 0;)
    used += (size_t)n;
  words[used] = 0;
  close(said[0]);
  int how;
  waitpid(child, &how, 0);
  return how;
}

static void check_words(int how, int sig, const char *name) {
  ck_assert_msg(strncmp(words, "crash: ", 7) == 0, "%s", words);
  ck_assert_msg(strstr(words, name), "%s", words);
  ck_assert_msg(strstr(words, "generation 7\n"), "%s", words);
  ck_assert_msg(strstr(words, "C stack:\n  #0 "), "%s", words);
  if (DIES_OF_SIGNAL) ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == sig);
}

static void check_death(void (*crash)(void), int sig, const char *name) {
  check_words(crash_with(crash, describe), sig, name);
}

START_TEST(a_bad_pointer_is_told_with_its_address) {
  check_death(segfault, SIGSEGV, "SIGSEGV at address 0x0, in thread ");
}
END_TEST

START_TEST(a_division_by_zero_is_told) { check_death(divide, SIGFPE, "SIGFPE"); }
END_TEST

START_TEST(an_abort_is_told_with_its_caller) {
  check_death(abort, SIGABRT, "SIGABRT");
  ck_assert_msg(strstr(words, "libc.so.6: abort+0x"), "%s", words);
}
END_TEST

START_TEST(a_signal_that_was_sent_is_told_and_kills) { check_death(kill_self, SIGBUS, "SIGBUS"); }
END_TEST

START_TEST(running_out_of_stack_is_told) { check_death(exhaust_stack, SIGSEGV, "SIGSEGV"); }
END_TEST

START_TEST(threads_that_crash_together_are_told_once) {
  check_death(crash_everywhere, SIGABRT, "SIGABRT");
  ck_assert_ptr_null(strstr(words + 1, "crash: "));
}
END_TEST

START_TEST(the_first_that_crashes_is_heard_out) {
  check_words(crash_with(crash_everywhere, disturb), SIGABRT, "SIGABRT");
}
END_TEST

START_TEST(a_crash_while_telling_ends_the_process) {
  int how = crash_with(segfault, crash_again);
  if (DIES_OF_SIGNAL) ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV);
}
END_TEST

START_TEST(afterwards_the_signals_are_as_before) {
  struct sigaction old, now;
  sigaction(SIGSEGV, NULL, &old);
  tiny_crash_parts parts = {NULL, write_down, NULL};
  tiny_crash *one = tiny_crash_open(&parts), *two = tiny_crash_open(&parts);
  tiny_crash_close(one);
  sigaction(SIGSEGV, NULL, &now);
  ck_assert_ptr_ne((void *)now.sa_sigaction, (void *)old.sa_sigaction);
  tiny_crash_close(two);
  sigaction(SIGSEGV, NULL, &now);
  ck_assert_ptr_eq((void *)now.sa_sigaction, (void *)old.sa_sigaction);
  void *stack = tiny_crash_stack_open();
  ck_assert_ptr_nonnull(stack);
  tiny_crash_stack_close(stack);
  stack_t own;
  sigaltstack(NULL, &own);
  ck_assert(own.ss_flags & SS_DISABLE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("crash");
  TCase *c = tcase_create("crash");
  tcase_add_test(c, a_bad_pointer_is_told_with_its_address);
  tcase_add_test(c, a_division_by_zero_is_told);
  tcase_add_test(c, an_abort_is_told_with_its_caller);
  tcase_add_test(c, a_signal_that_was_sent_is_told_and_kills);
  tcase_add_test(c, running_out_of_stack_is_told);
  tcase_add_test(c, threads_that_crash_together_are_told_once);
  tcase_add_test(c, the_first_that_crashes_is_heard_out);
  tcase_add_test(c, a_crash_while_telling_ends_the_process);
  tcase_add_test(c, afterwards_the_signals_are_as_before);
  suite_add_tcase(suite, c);
  return suite_run(suite);
}
