/* SPDX-License-Identifier: MIT
 * signals.c -- handlers that count and wake. Counters, not bytes in a pipe: a forked
 * child shares the fd but not the counters, so its signals are never taken for ours,
 * and no flood of one signal can keep another out. */
#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGPIPE};
enum { CAUGHT = sizeof caught / sizeof *caught };

static atomic_flag taken = ATOMIC_FLAG_INIT;
static _Atomic int wake_fd = -1;
static _Atomic int inside; /* handlers that may be about to write to the fd */
static _Atomic unsigned counts[NSIG];
static struct sigaction before[CAUGHT];
static sigset_t blocked_before; /* which of them whoever started us had blocked */

static void on_signal(int signal) {
  int error = errno;
  uint64_t one = 1;
  atomic_fetch_add(&inside, 1);
  atomic_fetch_add(&counts[signal], 1);
  int fd = atomic_load(&wake_fd);
  ssize_t written = fd >= 0 ? write(fd, &one, sizeof one) : 0;
  (void)written; /* failing means that the counter is full: the reader is awake */
  atomic_fetch_sub(&inside, 1);
  errno = error;
}

static void on_pipe(int signal) { (void)signal; }

static void unblock(void) {
  sigset_t all, mask;
  sigemptyset(&all);
  for (int i = 0; i < CAUGHT; i++) sigaddset(&all, caught[i]);
  pthread_sigmask(SIG_UNBLOCK, &all, &mask);
  sigandset(&blocked_before, &mask, &all);
}

int tiny_signals_take(void) {
  if (atomic_flag_test_and_set(&taken)) return -EBUSY;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) {
    int error = errno;
    atomic_flag_clear(&taken);
    return -error;
  }
  atomic_store(&wake_fd, fd);
  for (int i = 0; i < CAUGHT; i++) {
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = caught[i] == SIGPIPE ? on_pipe : on_signal;
    atomic_store(&counts[caught[i]], 0);
    sigaction(caught[i], &action, &before[i]);
  }
  unblock();
  return fd;
}

void tiny_signals_clear(void) {
  uint64_t times;
  if (read(atomic_load(&wake_fd), &times, sizeof times) < 0) return; /* nothing had come */
}

unsigned tiny_signals_count(int signal) { return atomic_exchange(&counts[signal], 0); }

void tiny_signals_but_faults(sigset_t *set) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
  sigfillset(set);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(set, faults[i]);
}

void tiny_signals_give_back(void) {
  pthread_sigmask(SIG_BLOCK, &blocked_before, NULL);
  for (int i = 0; i < CAUGHT; i++) sigaction(caught[i], &before[i], NULL);
  int fd = atomic_exchange(&wake_fd, -1);
  while (atomic_load(&inside) > 0) sched_yield(); /* on another thread: it may hold the fd still */
  close(fd);
  atomic_flag_clear(&taken);
}
