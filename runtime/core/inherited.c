/* SPDX-License-Identifier: MIT
 * inherited.c -- descriptors from 3 on, and their names. */
#include "inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 };

struct tiny_inherited {
  int count;
  char *names; /* separated by colons; NULL: none given */
};

static long number_of(const char *text) { return text ? strtol(text, NULL, 10) : 0; }

static int count_them(void) {
  long pid = number_of(getenv("LISTEN_PID")), count = number_of(getenv("LISTEN_FDS"));
  return pid == getpid() && count > 0 && count < 65536 ? (int)count : 0;
}

static void forget_environment(void) {
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
}

tiny_inherited *tiny_inherited_open(void) {
  int count = count_them();
  const char *names = getenv("LISTEN_FDNAMES");
  tiny_inherited *inherited = count ? calloc(1, sizeof *inherited) : NULL;
  if (inherited) {
    inherited->count = count;
    inherited->names = names ? strdup(names) : NULL;
    for (int i = 0; i < count; i++) fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
  }
  forget_environment();
  return inherited;
}

int tiny_inherited_find(const tiny_inherited *inherited, const char *name) {
  const char *at = inherited && inherited->names ? inherited->names : "";
  for (int i = 0; inherited && i < inherited->count; i++) {
    size_t size = strcspn(at, ":");
    const char *own = size ? at : "unknown";
    size_t own_size = size ? size : strlen(own);
    if (strlen(name) == own_size && memcmp(own, name, own_size) == 0) return FIRST + i;
    at += size + (at[size] == ':');
  }
  return -1;
}

void tiny_inherited_close(tiny_inherited *inherited) {
  if (!inherited) return;
  for (int i = 0; i < inherited->count; i++) close(FIRST + i);
  free(inherited->names);
  free(inherited);
}
