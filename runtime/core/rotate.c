/* SPDX-License-Identifier: MIT
 * rotate.c -- setting a log file aside under another name, and dropping the oldest. */
#include "rotate.h"
#include "log_clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAME_NAME 1000 /* as many files of one period may lie beside each other */

/* Like rename(), but never replaces a file. */
static int move(const char *from, const char *to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL) return errno;
  if (access(to, F_OK) == 0) return EEXIST; /* a file system without that */
  return rename(from, to) == 0 ? 0 : errno;
}

static int absent_is_well(int error) { return error == ENOENT ? 0 : error; }

/* Local minutes are counted as if they were UTC's. */
static void period_name(char *name, size_t size, const char *path, int64_t minute,
                        int64_t minutes) {
  tiny_clock clock = {.frozen = true};
  tiny_clock_set(&clock, minute * 60);
  int n = snprintf(name, size, "%s.%s", path, clock.date);
  if (n >= (int)size - 8) return;
  if (minutes < 24 * 60) n += snprintf(name + n, size - (size_t)n, "_%02d", clock.hour);
  if (minutes < 60) snprintf(name + n, size - (size_t)n, "-%02d", clock.minute);
}

/* ---- the oldest go ---- */

typedef struct names {
  char **list;
  size_t count, room;
} names;

static int keep_name(names *n, const char *name) {
  if (n->count == n->room) {
    size_t room = n->room ? n->room * 2 : 16;
    char **list = realloc(n->list, room * sizeof *list);
    if (!list) return -1;
    n->list = list;
    n->room = room;
  }
  n->list[n->count] = strdup(name);
  return n->list[n->count] ? (n->count++, 0) : -1;
}

/* A name that period_name() made, with or without a number behind it. */
static int is_set_aside(const char *name, const char *base) {
  size_t size = strlen(base);
  if (strncmp(name, base, size) != 0 || name[size] != '.') return 0;
  const char *rest = name + size + 1;
  return strspn(rest, "0123456789") == 4 && rest[4] == '-' && !rest[strspn(rest, "0123456789-_.")];
}

static int compare(const void *a, const void *b) {
  return strverscmp(*(char *const *)a, *(char *const *)b); /* .9 before .10 */
}

static void list_set_aside(DIR *folder, const char *base, names *n) {
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (is_set_aside(entry->d_name, base) && keep_name(n, entry->d_name) != 0) break;
  }
  qsort(n->list, n->count, sizeof *n->list, compare);
}

static DIR *open_folder(const char *path, const char *base) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%.*s", (int)(base - path), path);
  return opendir(base == path ? "." : folder);
}

static void prune(const char *path, int keep) {
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  names n = {0};
  DIR *folder = open_folder(path, base);
  if (!folder) return;
  list_set_aside(folder, base, &n);
  for (size_t i = 0; i < n.count; i++) {
    if (i + (size_t)keep < n.count) unlinkat(dirfd(folder), n.list[i], 0);
    free(n.list[i]);
  }
  free(n.list);
  closedir(folder);
}

/* ---- setting aside ---- */

int tiny_rotate_by_time(const char *path, int64_t minute, int64_t minutes, int keep) {
  char name[PATH_MAX], numbered[PATH_MAX + 8];
  period_name(name, sizeof name, path, minute, minutes);
  int error = move(path, name);
  for (int i = 1; error == EEXIST && i < SAME_NAME; i++) {
    snprintf(numbered, sizeof numbered, "%s.%d", name, i);
    error = move(path, numbered);
  }
  if (!error) prune(path, keep);
  return absent_is_well(error);
}

int tiny_rotate_by_size(const char *path, int keep) {
  char from[PATH_MAX + 16], to[PATH_MAX + 16];
  if (keep == 0) return unlink(path) == 0 ? 0 : absent_is_well(errno);
  for (int i = keep; i > 1; i--) {
    snprintf(from, sizeof from, "%s.%d", path, i - 1);
    snprintf(to, sizeof to, "%s.%d", path, i);
    if (rename(from, to) != 0 && errno != ENOENT) return errno;
  }
  snprintf(to, sizeof to, "%s.1", path);
  return rename(path, to) == 0 ? 0 : absent_is_well(errno);
}
