/* SPDX-License-Identifier: MIT
 * crash.c -- the handler of fatal signals. */
#include "crash.h"
#include "apart.h"
#include "backtrace.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  int number;
  const char *name;
} caught[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}};

enum {
  CAUGHT = sizeof caught / sizeof *caught,
  TOLD = 16,          /* runtimes in one process */
  STACK_SIZE = 65536, /* unwinding takes some 20 KB */
  TEXT_SIZE = 16384,
  UNWIND_MS = 1000
};

struct tiny_crash {
  tiny_crash_parts parts;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for opening and closing */
static tiny_crash *_Atomic told[TOLD];
static int users;
static tiny_apart *apart; /* while there are users */
static struct sigaction before[CAUGHT];
static _Atomic int first; /* the thread that crashed first; 0: none */
static char text[TEXT_SIZE];

static int index_of(int sig) {
  int i = 0;
  while (i < CAUGHT - 1 && caught[i].number != sig) i++;
  return i;
}

static void put_cause(tiny_report *report, int sig, const siginfo_t *info) {
  char thread[17] = "";
  prctl(PR_GET_NAME, thread);
  tiny_report_put(report, "crash: ");
  tiny_report_put(report, caught[index_of(sig)].name);
  if (info->si_code > 0) { /* raised by the CPU, and not by kill() or abort() */
    tiny_report_put(report, " at address ");
    tiny_report_hex(report, (uintptr_t)info->si_addr);
  } else if (info->si_pid != getpid()) {
    tiny_report_put(report, " sent by process ");
    tiny_report_number(report, info->si_pid);
  }
  tiny_report_put(report, ", in thread ");
  tiny_report_put(report, thread);
  tiny_report_put(report, "\n");
}

static void tell_all(int sig, const siginfo_t *info, const void *context) {
  tiny_report report = tiny_report_begin(text, sizeof text);
  put_cause(&report, sig, info);
  for (int i = 0; i < TOLD; i++) {
    tiny_crash *crash = told[i];
    if (crash && crash->parts.describe) crash->parts.describe(crash->parts.data, &report);
  }
  tiny_report_put(&report, "C stack:\n");
  tiny_report_put(&report, tiny_apart_tell(apart, tiny_backtrace_put, context, UNWIND_MS));
  for (int i = 0; i < TOLD; i++) {
    tiny_crash *crash = told[i];
    if (crash) crash->parts.write(crash->parts.data, text, report.used);
  }
}

/* A fault happens again when the handler returns, at the same place and with nobody in between; a
 * signal that was sent has to be sent again. abort() does so by itself. */
static void die(int sig, const siginfo_t *info) {
  sigaction(sig, &before[index_of(sig)], NULL);
  if (info->si_code <= 0) syscall(SYS_tgkill, getpid(), gettid(), sig);
}

static void on_crash(int sig, siginfo_t *info, void *context) {
  int nobody = 0, self = gettid();
  if (atomic_compare_exchange_strong(&first, &nobody, self))
    tell_all(sig, info, context);
  else
    while (nobody != self) pause(); /* the first one ends the process */
  die(sig, info);
}

/* The handler itself may crash; SA_NODEFER lets that come through at once, to end the process. */
static bool install(void) {
  struct sigaction ours = {.sa_sigaction = on_crash,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&ours.sa_mask);
  if (!(apart = tiny_apart_open())) return false;
  tiny_backtrace_prime();
  for (int i = 0; i < CAUGHT; i++) sigaction(caught[i].number, &ours, &before[i]);
  return true;
}

static void uninstall(void) {
  for (int i = 0; i < CAUGHT; i++) sigaction(caught[i].number, &before[i], NULL);
  tiny_apart_close(apart);
}

static bool enlist(tiny_crash *crash) {
  int i = 0;
  while (i < TOLD && told[i]) i++;
  if (i == TOLD || (users == 0 && !install())) return false;
  told[i] = crash;
  users++;
  return true;
}

tiny_crash *tiny_crash_open(const tiny_crash_parts *parts) {
  tiny_crash *crash = calloc(1, sizeof *crash);
  if (!crash) return NULL;
  crash->parts = *parts;
  pthread_mutex_lock(&lock);
  bool enlisted = enlist(crash);
  pthread_mutex_unlock(&lock);
  if (enlisted) return crash;
  free(crash);
  return NULL;
}

void tiny_crash_close(tiny_crash *crash) {
  if (!crash) return;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < TOLD; i++)
    if (told[i] == crash) told[i] = NULL;
  if (--users == 0) uninstall();
  pthread_mutex_unlock(&lock);
  free(crash);
}

void *tiny_crash_stack_open(void) {
  void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return NULL;
  stack_t own = {.ss_sp = stack, .ss_size = STACK_SIZE};
  if (sigaltstack(&own, NULL) == 0) return stack;
  munmap(stack, STACK_SIZE);
  return NULL;
}

void tiny_crash_stack_close(void *stack) {
  if (!stack) return;
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  munmap(stack, STACK_SIZE);
}
