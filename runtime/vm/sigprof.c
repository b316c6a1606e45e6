/* SPDX-License-Identifier: MIT
 * sigprof.c -- one SIGPROF for all threads that want it. */
#include "sigprof.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next three */
static int threads;
static struct sigaction before; /* the process's own, while threads > 0 */
static lua_State *profiled;     /* the VM with the profiler, or NULL */

static struct sigaction luajit; /* LuaJIT's handler, while profiled; used on its thread only */

/* initial-exec: a signal handler must not be the one to allocate them */
#define IN_HANDLER __attribute__((tls_model("initial-exec")))
static _Thread_local tiny_sigprof_fn own_fn IN_HANDLER;
static _Thread_local void *own_data IN_HANDLER;

static void pass_on(const struct sigaction *to, int sig, siginfo_t *info, void *context) {
  if (to->sa_flags & SA_SIGINFO)
    to->sa_sigaction(sig, info, context);
  else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN)
    to->sa_handler(sig);
}

static void on_sigprof(int sig, siginfo_t *info, void *context) {
  int saved = errno;
  if (own_fn)
    own_fn(own_data, context);
  else
    pass_on(&before, sig, info, context);
  errno = saved;
}

static int install(struct sigaction *old) {
  struct sigaction ours = {.sa_sigaction = on_sigprof, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigemptyset(&ours.sa_mask);
  return sigaction(SIGPROF, &ours, old);
}

static void mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  pthread_sigmask(how, &set, NULL);
}

int tiny_sigprof_open(tiny_sigprof_fn fn, void *data) {
  own_data = data;
  own_fn = fn;
  pthread_mutex_lock(&lock);
  int failed = threads == 0 ? install(&before) : 0;
  if (!failed) threads++;
  pthread_mutex_unlock(&lock);
  if (failed) own_fn = NULL;
  mask(SIG_UNBLOCK);
  return failed;
}

void tiny_sigprof_close(void) {
  own_fn = NULL;
  pthread_mutex_lock(&lock);
  if (--threads == 0) {
    signal(SIGPROF, SIG_IGN); /* forgets a pending one, which would end the process below */
    sigaction(SIGPROF, &before, NULL);
  }
  pthread_mutex_unlock(&lock);
}

/* LuaJIT puts its own handler in place of ours and starts its timer; undo both. */
static void start(lua_State *L, luaJIT_profile_callback fn, void *data) {
  static const struct itimerval never;
  luaJIT_profile_start(L, "li1000", fn, data);
  setitimer(ITIMER_PROF, &never, NULL);
  install(&luajit);
}

bool tiny_sigprof_start(lua_State *L, luaJIT_profile_callback fn, void *data) {
  pthread_mutex_lock(&lock);
  bool free = !profiled;
  if (free) {
    mask(SIG_BLOCK); /* no trigger before 'luajit' is known */
    start(L, fn, data);
    profiled = L;
    mask(SIG_UNBLOCK);
  }
  pthread_mutex_unlock(&lock);
  return free;
}

void tiny_sigprof_stop(lua_State *L) {
  pthread_mutex_lock(&lock);
  if (profiled == L) {
    luaJIT_profile_stop(L); /* puts back the handler that it found: ours */
    profiled = NULL;
  }
  pthread_mutex_unlock(&lock);
}

void tiny_sigprof_trigger(void) { pass_on(&luajit, SIGPROF, NULL, NULL); }
