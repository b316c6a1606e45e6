/* SPDX-License-Identifier: MIT
 * control.c -- the control thread itself: its loop, its errands, signals and deadlines. */
#include "control.h"

#include "control_socket.h"
#include "pidfile.h"
#include "requests.h"
#include "signals.h"
#include "tiny.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FORCE_CLOSE_MS = 10000, WAIT_LOCK_MS = 1000 }; /* while no conf is in force */

/* The loop thread's two errands. */
typedef struct listening {
  tiny_errand errand;
  tiny_control *control;
  int fd;
  char *path;
} listening;

typedef struct closing {
  tiny_errand errand;
  tiny_control *control;
  bool forced;
} closing;

struct tiny_control {
  tiny_control_parts parts;
  uv_loop_t loop;
  uv_thread_t thread;
  uv_async_t wake;
  int signal_fd; /* -1: the signals are not ours */
  uv_poll_t signals;
  uv_timer_t deadline, overdue;
  tiny_requests *requests;
  tiny_control_socket *socket; /* NULL until it listens */
  char *path;                  /* its file */
  bool asked;                  /* somebody wants it closed */
  unsigned stops;              /* SIGTERM and SIGINT that have come */
  uint64_t armed_ns;           /* the deadline that the timer waits for; 0: none */
  listening listening;
  closing closing;

  pthread_mutex_t lock; /* guards all below, and sending on 'wake' */
  tiny_errand *first, **last;
  uint64_t due_ns; /* the deadline, as uv_hrtime(); 0: none */
};

uv_loop_t *tiny_control_loop(tiny_control *control) { return &control->loop; }

void tiny_control_send(tiny_control *control, tiny_errand *errand) {
  errand->next = NULL;
  pthread_mutex_lock(&control->lock);
  *control->last = errand;
  control->last = &errand->next;
  uv_async_send(&control->wake);
  pthread_mutex_unlock(&control->lock);
}

static tiny_errand *pop(tiny_control *control) {
  pthread_mutex_lock(&control->lock);
  tiny_errand *errand = control->first;
  if (errand) control->first = errand->next;
  if (!control->first) control->last = &control->first;
  pthread_mutex_unlock(&control->lock);
  return errand;
}

void tiny_control_deadline(tiny_control *control, uint64_t ms) {
  static const uint64_t century_ms = 100ull * 365 * 86400 * 1000;
  uint64_t due = uv_hrtime() + (ms < century_ms ? ms : century_ms) * 1000000;
  pthread_mutex_lock(&control->lock);
  if (control->due_ns == 0 || due < control->due_ns) {
    control->due_ns = due;
    uv_async_send(&control->wake);
  }
  pthread_mutex_unlock(&control->lock);
}

void tiny_control_end(tiny_control *control, int code, const char *why) {
  tiny_err(control->parts.log, "%s", why);
  tiny_requests_closed(control->requests, true);
  if (control->path) unlink(control->path);
  control->parts.end(control->parts.data, code);
}

static void on_deadline(uv_timer_t *timer) {
  tiny_control *control = timer->data;
  if (tiny_state_is_hung(control->parts.state))
    tiny_control_end(control, TINY_EXIT_HUNG, "hung: ended by force");
  else
    tiny_control_end(control, TINY_EXIT_FORCED,
                     "closing took longer than svr.close.force_close_delay: ended by force");
}

static void on_overdue(uv_timer_t *timer) {
  tiny_control *control = timer->data;
  control->parts.overdue(control->parts.data);
}

static void arm_deadline(tiny_control *control) {
  pthread_mutex_lock(&control->lock);
  uint64_t due = control->due_ns, now = uv_hrtime();
  pthread_mutex_unlock(&control->lock);
  if (due == control->armed_ns) return;
  control->armed_ns = due;
  uv_update_time(&control->loop);
  uv_timer_start(&control->deadline, on_deadline, due > now ? (due - now + 999999) / 1000000 : 0,
                 0);
}

static void on_wake(uv_async_t *wake) {
  tiny_control *control = wake->data;
  for (tiny_errand *errand; (errand = pop(control));) errand->run(errand);
  arm_deadline(control);
}

/* The deadlines run from here, as the loop thread may be busy for as long as it likes. */
void tiny_control_begin_close(tiny_control *control) {
  if (control->asked) return;
  control->asked = true;
  tiny_state_enter(control->parts.state, TINY_CLOSING);
  tiny_conf *conf = tiny_state_hold_conf(control->parts.state);
  uint64_t wait = conf ? tiny_conf_ms(conf, "svr.close.wait_lock_delay") : WAIT_LOCK_MS;
  uint64_t force = conf ? tiny_conf_ms(conf, "svr.close.force_close_delay") : FORCE_CLOSE_MS;
  tiny_conf_drop(conf);
  tiny_control_deadline(control, force);
  uv_update_time(&control->loop);
  if (control->parts.overdue) uv_timer_start(&control->overdue, on_overdue, wait, 0);
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CLOSE);
  if (ask) tiny_inbox_post(control->parts.inbox, ask);
}

static void reload(tiny_control *control) {
  tiny_ask *ask = NULL;
  if (tiny_state_is_hung(control->parts.state))
    tiny_requests_refuse_reload(&control->parts);
  else if ((ask = tiny_ask_new(TINY_ASK_RELOAD)))
    tiny_inbox_post(control->parts.inbox, ask);
}

static void stop(tiny_control *control, unsigned times) {
  control->stops += times;
  if (control->stops > 1)
    tiny_control_end(control, TINY_EXIT_FORCED, "told to stop a second time: ended by force");
  else
    tiny_control_begin_close(control);
}

static void on_signals(uv_poll_t *poll, int status, int events) {
  tiny_control *control = poll->data;
  (void)status;
  (void)events;
  tiny_signals_clear();
  unsigned stops = tiny_signals_count(SIGTERM) + tiny_signals_count(SIGINT);
  if (tiny_signals_count(SIGUSR2)) tiny_log_reopen(control->parts.log);
  if (tiny_signals_count(SIGQUIT) && control->parts.stack)
    control->parts.stack(control->parts.data);
  if (tiny_signals_count(SIGHUP) + tiny_signals_count(SIGUSR1)) reload(control);
  if (stops) stop(control, stops);
}

/* A client that goes away in mid-answer must not end the process: SIGPIPE stays out of this
 * thread. The other signals may be handled here, unless they are somebody else's. */
static void mask_signals(const tiny_control *control) {
  sigset_t set;
  sigemptyset(&set);
  if (control->signal_fd < 0) tiny_signals_but_faults(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void run(void *data) {
  tiny_control *control = data;
  pthread_setname_np(pthread_self(), "tiny-control");
  mask_signals(control);
  uv_run(&control->loop, UV_RUN_DEFAULT);
}

static void close_handles(tiny_control *control) {
  if (control->socket) tiny_control_socket_close(control->socket);
  if (control->requests) tiny_requests_close(control->requests);
  if (control->signal_fd >= 0) uv_close((uv_handle_t *)&control->signals, NULL);
  uv_close((uv_handle_t *)&control->deadline, NULL);
  uv_close((uv_handle_t *)&control->overdue, NULL);
  uv_close((uv_handle_t *)&control->wake, NULL);
}

/* The thread has ended, or never began. The fd of the signals goes after its handle. */
static void release(tiny_control *control) {
  if (control->signal_fd >= 0) tiny_signals_give_back();
  int busy = uv_loop_close(&control->loop);
  if (busy != 0) tiny_err(control->parts.log, "control: a handle was left open");
  tiny_control_socket_free(control->socket);
  tiny_requests_free(control->requests);
  pthread_mutex_destroy(&control->lock);
  free(control->path);
  free(control);
}

static void fail(tiny_control *control, int error, char *why, size_t why_size) {
  snprintf(why, why_size, "control thread: %s", uv_strerror(error));
  close_handles(control);
  uv_run(&control->loop, UV_RUN_DEFAULT);
  release(control);
}

/* Returns the control with its loop, its lock and the handles that cannot fail. */
static tiny_control *new_control(const tiny_control_parts *parts) {
  tiny_control *control = calloc(1, sizeof *control);
  if (!control) return NULL;
  if (uv_loop_init(&control->loop) != 0) {
    free(control);
    return NULL;
  }
  if (uv_async_init(&control->loop, &control->wake, on_wake) != 0) {
    uv_loop_close(&control->loop);
    free(control);
    return NULL;
  }
  control->parts = *parts;
  control->signal_fd = -1;
  control->last = &control->first;
  pthread_mutex_init(&control->lock, NULL);
  uv_timer_init(&control->loop, &control->deadline);
  uv_timer_init(&control->loop, &control->overdue);
  control->wake.data = control->signals.data = control;
  control->deadline.data = control->overdue.data = control;
  return control;
}

static int take_signals(tiny_control *control) {
  int fd = tiny_signals_take();
  if (fd < 0) return fd;
  int error = uv_poll_init(&control->loop, &control->signals, fd);
  if (error != 0) {
    tiny_signals_give_back();
    return error;
  }
  control->signal_fd = fd;
  return uv_poll_start(&control->signals, UV_READABLE, on_signals);
}

tiny_control *tiny_control_open(const tiny_control_parts *parts, char *why, size_t why_size) {
  tiny_control *control = new_control(parts);
  if (!control) {
    snprintf(why, why_size, "control thread: no memory or no file descriptors");
    return NULL;
  }
  control->requests = tiny_requests_open(control, &control->parts);
  int error = control->requests ? 0 : UV_ENOMEM;
  if (error == 0 && parts->signals) error = take_signals(control);
  if (error == 0) error = uv_thread_create(&control->thread, run, control);
  if (error == 0) return control;
  fail(control, error, why, why_size);
  return NULL;
}

static void on_listen(tiny_errand *errand) {
  listening *l = (listening *)errand;
  tiny_control *control = l->control;
  control->path = l->path;
  control->socket =
      tiny_control_socket_open(&control->loop, l->fd, tiny_requests_take, control->requests);
  if (!control->socket) tiny_err(control->parts.log, "%s: cannot be served", control->path);
}

int tiny_control_listen(tiny_control *control, const tiny_conf *conf, char *why, size_t why_size) {
  char *path = tiny_pidfile_path(conf, ".sock");
  int fd = path ? tiny_control_socket_bind(path, why, why_size) : -1;
  if (!path) snprintf(why, why_size, "out of memory");
  if (fd < 0) {
    free(path);
    return -1;
  }
  control->listening = (listening){{on_listen, NULL}, control, fd, path};
  tiny_control_send(control, &control->listening.errand);
  return 0;
}

/* Who waits is told before the socket closes, and the file goes before the thread does. */
static void on_close(tiny_errand *errand) {
  closing *c = (closing *)errand;
  tiny_requests_closed(c->control->requests, c->forced);
  if (c->control->path) unlink(c->control->path);
  close_handles(c->control);
}

void tiny_control_close(tiny_control *control, bool forced) {
  control->closing = (closing){{on_close, NULL}, control, forced};
  tiny_control_send(control, &control->closing.errand);
  uv_thread_join(&control->thread);
  release(control);
}
