/* SPDX-License-Identifier: MIT
 * main.c -- a key-value server in C with a loop of its own, whose policy is a Lua script that
 * can be replaced while it runs: kill -HUP reloads it, kill -TERM ends it.
 *
 *     kv conf.lua [port]                                                              */
#include "module.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

typedef struct program {
  int epoll_fd, signal_fd;
  store *store;
  tiny *runtime;
  server *server;
} program;

static void on_log(void *data, const tiny_logged *line) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  (void)data;
  fprintf(stderr, "kv %s: %.*s\n", levels[line->level], (int)line->text_size, line->text);
}

static void on_reloaded(void *data, bool done, const char *text) {
  (void)data;
  printf("%s: %s\n", done ? "new policy" : "old policy", text);
  fflush(stdout);
}

/* The program's own signals, as one more descriptor. Blocked before there are other threads. */
static int open_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_signal(const program *p) {
  struct signalfd_siginfo info;
  if (read(p->signal_fd, &info, sizeof info) != sizeof info) return;
  if (info.ssi_signo == SIGHUP)
    tiny_reload(p->runtime, on_reloaded, NULL);
  else
    tiny_close(p->runtime, 0, 0, NULL, NULL);
}

static void watch(const program *p, int fd, const void *whose) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)whose};
  epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* One turn of the program's loop. Returns false when the runtime has closed. */
static bool turn(program *p) {
  struct epoll_event events[16];
  int count = epoll_wait(p->epoll_fd, events, 16, tiny_timeout(p->runtime));
  for (int i = 0; i < count; i++) {
    void *whose = events[i].data.ptr;
    if (whose == &p->signal_fd)
      on_signal(p);
    else if (whose != &p->runtime)
      server_on_event(p->server, whose);
  }
  bool goes_on = tiny_step(p->runtime) > 0;
  server_retry(p->server);
  return goes_on;
}

static int serve(program *p, int port) {
  p->server = server_open(p->epoll_fd, port, p->store, p->runtime);
  if (!p->server) {
    perror("kv: listen");
    return EXIT_FAILURE;
  }
  watch(p, p->signal_fd, &p->signal_fd);
  watch(p, tiny_fd(p->runtime), &p->runtime);
  printf("listening on 127.0.0.1:%d\n", server_port(p->server));
  fflush(stdout);
  while (turn(p)) continue;
  server_close(p->server);
  return tiny_exit_code(p->runtime);
}

int main(int argc, char **argv) {
  static const tiny_library libraries[] = {{"kv", module_open}, {NULL, NULL}};
  char why[512];
  program p = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .signal_fd = open_signals()};
  p.store = store_new();
  tiny_options options = {.conf = argc > 1 ? argv[1] : NULL,
                          .libraries = libraries,
                          .data = p.store,
                          .log = on_log,
                          .log_level = TINY_INFO};
  p.runtime = tiny_new(&options, why, sizeof why);
  if (!p.runtime) {
    fprintf(stderr, "kv: %s\n", why);
    return EXIT_FAILURE;
  }
  int code = serve(&p, argc > 2 ? atoi(argv[2]) : 0);
  tiny_free(p.runtime);
  store_free(p.store);
  close(p.signal_fd);
  close(p.epoll_fd);
  return code;
}
