/* SPDX-License-Identifier: MIT
 * close.c -- tiny close: done when the process is gone. */
#include "client.h"
#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A program that has the runtime inside closes it and lives on. */
enum { GONE_MS = 30000 };

/* Opened before anything is asked, so that it is this process and no later one of the same pid. */
static int watch(pid_t pid) { return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1; }

static void wait_until_gone(const tiny_server *server, int pidfd) {
  struct pollfd end = {.fd = pidfd, .events = POLLIN};
  int ended;
  if (pidfd < 0) return;
  do ended = poll(&end, 1, GONE_MS);
  while (ended < 0 && errno == EINTR);
  if (ended == 0) fprintf(stderr, "pid %ld lives on\n", (long)server->pid);
}

static int ask(const tiny_server *server, int pidfd) {
  json_t *answer = tiny_server_ask(server, json_pack("{s:s}", "do", "close"), 0);
  bool ok = json_is_true(json_object_get(answer, "ok"));
  const char *text = json_string_value(json_object_get(answer, "text"));
  if (text) fprintf(ok ? stdout : stderr, "%s\n", text);
  if (!answer || json_object_get(answer, "forced")) wait_until_gone(server, pidfd);
  json_decref(answer);
  return ok ? 0 : 1;
}

static int close_server(tiny_arguments *arguments) {
  tiny_server server;
  int wrong = tiny_arguments_done(arguments, 0, 0);
  if (wrong) return wrong;
  int found = tiny_server_find(arguments->conf, &server);
  if (found != 0) return found == TINY_NOT_RUNNING ? 0 : found;
  int pidfd = watch(server.pid);
  int code = ask(&server, pidfd);
  if (pidfd >= 0) close(pidfd);
  tiny_server_leave(&server);
  return code;
}

const tiny_command tiny_command_close = {
    .name = "close",
    .synopsis = "[-c conf.lua]",
    .summary = "Close the running server and wait until its process is gone",
    .help = "Exit codes: 0 closed, or none was running; 1 it had to be forced.",
    .run = close_server,
};
