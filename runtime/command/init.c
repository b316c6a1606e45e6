/* SPDX-License-Identifier: MIT
 * init.c -- reaping and passing signals on, until the server ends. */
#include "init.h"

#include "signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns the server's wait status, or -1 while it lives. */
static int reap(pid_t server) {
  int status, found = -1;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == server) found = status;
  return found;
}

/* What comes from the terminal (SI_KERNEL) goes to its whole foreground, the server included. */
static int watch(pid_t server, const sigset_t *set) {
  for (;;) {
    siginfo_t info;
    int sig = sigwaitinfo(set, &info);
    int status = sig == SIGCHLD ? reap(server) : -1;
    if (status >= 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (sig > 0 && sig != SIGCHLD && info.si_code != SI_KERNEL) kill(server, sig);
  }
}

void tiny_init(void) {
  if (getpid() != 1) return;
  sigset_t set, before;
  tiny_signals_but_faults(&set);
  sigprocmask(SIG_BLOCK, &set, &before); /* a signal that comes now waits, and is not lost */
  pid_t server = fork();
  if (server > 0) _exit(watch(server, &set));
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (server == 0) return;
  perror("cannot start the server");
  exit(1);
}
