/* SPDX-License-Identifier: MIT
 * trace.c -- walking Lua stacks. */
#include "trace.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* lua_getstack() walks from the top each time, so depth costs its square. */
enum { MAX_LEVELS = 30 };

static void put_frame(tiny_report *report, const lua_Debug *frame) {
  tiny_report_put(report, "  ");
  tiny_report_put(report, frame->short_src);
  if (frame->currentline > 0) {
    tiny_report_put(report, ":");
    tiny_report_number(report, frame->currentline);
  }
  if (*frame->what == 'm') {
    tiny_report_put(report, ": in main chunk\n");
  } else if (frame->name) {
    tiny_report_put(report, ": in function '");
    tiny_report_put(report, frame->name);
    tiny_report_put(report, "'\n");
  } else {
    tiny_report_put(report, ": in function <");
    tiny_report_put(report, frame->short_src);
    tiny_report_put(report, ":");
    tiny_report_number(report, frame->linedefined);
    tiny_report_put(report, ">\n");
  }
}

void tiny_trace_put(tiny_report *report, lua_State *L) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    if (level == MAX_LEVELS) {
      tiny_report_put(report, "  ...\n");
      return;
    }
    lua_getinfo(L, "nSl", &frame);
    put_frame(report, &frame);
  }
}

/* fork() would run handlers of other libraries and take malloc's locks. No exit
 * signal, so that nobody who waits for children hears of this one. */
static pid_t copy_process(void) { return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL); }

static void walk_and_die(lua_State *L, char *text, size_t size, unsigned ms) {
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
  signal(SIGALRM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  alarm(ms / 1000 + 1); /* should the parent die meanwhile */
  tiny_report report = tiny_report_begin(text, size);
  tiny_trace_put(&report, L);
  _exit(0);
}

int tiny_trace_guess(lua_State *L, char *text, size_t size, unsigned ms) {
  text[0] = 0;
  pid_t child = copy_process();
  if (child == 0) walk_and_die(L, text, size, ms);
  if (child < 0) return 0;
  for (unsigned waited = 0; waitpid(child, NULL, __WALL | WNOHANG) == 0; waited++) {
    if (waited == ms) kill(child, SIGKILL);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return text[0] != 0;
}
