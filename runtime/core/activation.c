/* SPDX-License-Identifier: MIT
 * activation.c -- the descriptors from 3 on that came with the process. */
#include "activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 };

static int number_of(const char *variable) {
  const char *text = getenv(variable);
  return text ? atoi(text) : 0;
}

/* The next of the names that colons separate; those without one are called "unknown". */
static const char *copy_name(const char *names, char *name, size_t size) {
  size_t length = names ? strcspn(names, ":") : 0;
  snprintf(name, size, "%.*s", (int)length, names ? names : "");
  if (!names) snprintf(name, size, "unknown");
  return names && names[length] ? names + length + 1 : NULL;
}

void tiny_activation_read(tiny_activation *a) {
  a->count = 0;
  if (number_of("LISTEN_PID") != getpid()) return;
  const char *names = getenv("LISTEN_FDNAMES");
  int count = number_of("LISTEN_FDS");
  for (; a->count < count && a->count < TINY_PASSED_MAX; a->count++) {
    int fd = FIRST + a->count;
    names = copy_name(names, a->passed[a->count].name, sizeof a->passed->name);
    a->passed[a->count].fd = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
  }
}

int tiny_activation_take(tiny_activation *a, const char *name) {
  for (int i = 0; i < a->count; i++) {
    int fd = a->passed[i].fd;
    if (fd < 0 || strcmp(a->passed[i].name, name) != 0) continue;
    a->passed[i].fd = -1;
    return fd;
  }
  return -1;
}
