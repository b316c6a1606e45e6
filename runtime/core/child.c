/* SPDX-License-Identifier: MIT
 * child.c -- the pipes and the end of a process. */
#include "child.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, LAST_MS = 200 };

static void end_poll(tiny_child *c, tiny_poll *poll) {
  int fd = tiny_poll_remove(c->poller, poll);
  if (fd >= 0) close(fd);
}

/* -- what it reads --------------------------------------------------------- */

/* A pipe that nobody reads any longer is an error of ours, not a SIGPIPE of the process. */
static ssize_t write_quietly(int fd, const char *data, size_t size) {
  static const struct timespec now = {0, 0};
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  ssize_t n = write(fd, data, size);
  int code = errno;
  if (n < 0 && code == EPIPE) sigtimedwait(&pipe_signal, NULL, &now);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return n < 0 ? -code : n;
}

static void feed(tiny_child *c) {
  ssize_t n = 0;
  while (n >= 0 && c->input_sent < c->input_size) {
    n = write_quietly(c->in.fd, c->input + c->input_sent, c->input_size - c->input_sent);
    if (n > 0) c->input_sent += (size_t)n;
    if (n == -EINTR) n = 0;
  }
  if (n == -EAGAIN) return;
  end_poll(c, &c->in);
  free(c->input);
  c->input = NULL;
}

static void on_input(tiny_poll *poll, uint32_t events) {
  (void)events;
  feed((tiny_child *)((char *)poll - offsetof(tiny_child, in)));
}

/* -- what it writes -------------------------------------------------------- */

static int make_room(tiny_output *o) {
  if (o->room - o->size >= PIECE) return 0;
  size_t room = o->room * 2 + PIECE;
  char *data = realloc(o->data, room);
  if (!data) return -1;
  o->data = data;
  o->room = room;
  return 0;
}

/* Read once, 'most' bytes at most. Returns what read(2) does. */
static ssize_t listen_once(tiny_child *c, tiny_output *o, size_t most) {
  if (make_room(o) != 0) c->failed = UV_ENOMEM;
  if (c->failed) return -1;
  ssize_t n = read(o->poll.fd, o->data + o->size, most < PIECE ? most : PIECE);
  if (n > 0) o->size += (size_t)n;
  if (o->size > c->limit) c->failed = UV_EMSGSIZE;
  return n;
}

/* Level-triggered: what is left brings another event. */
static void listen_to(tiny_child *c, tiny_output *o) {
  ssize_t n = listen_once(c, o, PIECE);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->failed) end_poll(c, &o->poll);
  if (c->failed) tiny_child_kill(c);
}

static void on_output(tiny_poll *poll, uint32_t events) {
  (void)events;
  listen_to((tiny_child *)((char *)poll - offsetof(tiny_child, out.poll)), (tiny_output *)poll);
}

static void on_error(tiny_poll *poll, uint32_t events) {
  (void)events;
  listen_to((tiny_child *)((char *)poll - offsetof(tiny_child, err.poll)), (tiny_output *)poll);
}

/* What was in the pipe when it ended. Its own children may hold the pipe open for ever, so
 * its end is not waited for. */
static void drain(tiny_child *c, tiny_output *o) {
  int left = 0;
  if (o->poll.fd < 0 || ioctl(o->poll.fd, FIONREAD, &left) != 0) left = 0;
  while (left > 0) {
    ssize_t n = listen_once(c, o, (size_t)left);
    if (n <= 0) break;
    left -= (int)n;
  }
  end_poll(c, &o->poll);
}

/* -- its end --------------------------------------------------------------- */

static void unlist(tiny_child *c) {
  tiny_child **at = c->list;
  while (*at != c) at = &(*at)->next;
  *at = c->next;
}

static void free_child(tiny_child *c) {
  free(c->input);
  free(c->out.data);
  free(c->err.data);
  free(c);
}

static int take_code(int pidfd) {
  siginfo_t info = {0};
  if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0) return -errno;
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static void finish(tiny_child *c) {
  c->code = take_code(c->exit.fd);
  c->over = true;
  drain(c, &c->out);
  drain(c, &c->err);
  end_poll(c, &c->in);
  end_poll(c, &c->exit);
  unlist(c);
}

static void on_exit_event(tiny_poll *poll, uint32_t events) {
  tiny_child *c = (tiny_child *)((char *)poll - offsetof(tiny_child, exit));
  (void)events;
  finish(c);
  if (c->abandoned)
    free_child(c);
  else
    c->on_over(c);
}

void tiny_child_kill(tiny_child *c) {
  if (!c->over) kill(-c->pid, SIGKILL);
}

void tiny_child_abandon(tiny_child *c) {
  tiny_child_kill(c);
  c->abandoned = true;
  if (c->over) free_child(c);
}

void tiny_children_close(tiny_child **list) {
  while (*list) {
    tiny_child *c = *list;
    struct pollfd ended = {c->exit.fd, POLLIN, 0};
    if (poll(&ended, 1, LAST_MS) == 1) take_code(c->exit.fd);
    end_poll(c, &c->in);
    end_poll(c, &c->out.poll);
    end_poll(c, &c->err.poll);
    end_poll(c, &c->exit);
    unlist(c);
    free_child(c);
  }
}

/* -- starting -------------------------------------------------------------- */

static int copy_input(tiny_child *c, const char *input, size_t size) {
  if (size == 0) return 0;
  c->input = malloc(size);
  if (!c->input) return UV_ENOMEM;
  memcpy(c->input, input, size);
  c->input_size = size;
  return 0;
}

static int watch(tiny_child *c, tiny_poll *poll, int fd, void (*on_event)(tiny_poll *, uint32_t),
                 uint32_t events) {
  poll->on_event = on_event;
  int rc = tiny_poll_add(c->poller, poll, fd, events);
  if (rc != 0) close(fd);
  return rc;
}

/* Each takes its descriptor over, whether it can be watched or not. */
static int watch_all(tiny_child *c, const tiny_spawned *s) {
  int rc[4] = {watch(c, &c->in, s->pipes[0], on_input, EPOLLOUT),
               watch(c, &c->out.poll, s->pipes[1], on_output, EPOLLIN),
               watch(c, &c->err.poll, s->pipes[2], on_error, EPOLLIN),
               watch(c, &c->exit, s->pidfd, on_exit_event, EPOLLIN)};
  for (int i = 0; i < 4; i++)
    if (rc[i] != 0) return rc[i];
  return 0;
}

static void give_up(tiny_child *c) {
  kill(-c->pid, SIGKILL);
  waitpid(c->pid, NULL, 0);
  end_poll(c, &c->in);
  end_poll(c, &c->out.poll);
  end_poll(c, &c->err.poll);
  end_poll(c, &c->exit);
}

static int start(tiny_child *c, const tiny_program *program) {
  tiny_spawned spawned;
  int rc = tiny_spawn(program, &spawned);
  if (rc != 0) return rc;
  c->pid = spawned.pid;
  rc = watch_all(c, &spawned);
  if (rc != 0) give_up(c);
  return rc;
}

tiny_child *tiny_child_start(tiny_poller *poller, tiny_child **list, const tiny_program *program,
                             const char *input, size_t input_size, size_t limit, int *rc) {
  tiny_child *c = calloc(1, sizeof *c);
  *rc = UV_ENOMEM;
  if (!c) return NULL;
  c->poller = poller;
  c->limit = limit;
  *rc = copy_input(c, input, input_size);
  if (*rc == 0) *rc = start(c, program);
  if (*rc == 0) {
    c->list = list;
    c->next = *list;
    *list = c;
    return c;
  }
  free_child(c);
  return NULL;
}
