/* SPDX-License-Identifier: MIT
 * pidfile.c -- the lock of a server's name. flock, not fcntl: that lock would go as
 * soon as a script merely opens and closes the file. */
#include "pidfile.h"

#include "note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct tiny_pidfile {
  int fd;
  char *path;
  char *note;       /* NULL until it is written */
  struct stat mine; /* what it was then */
};

char *tiny_pidfile_path(const tiny_conf *conf, const char *extension) {
  char *folder = tiny_conf_path(conf, "svr.run_dir"), *path = NULL;
  const char *name = tiny_conf_string(conf, "svr.name");
  if (asprintf(&path, "%s/%s%s", folder ? folder : tiny_conf_dir(conf), name, extension) < 0)
    path = NULL;
  free(folder);
  return path;
}

/* Whether the file at 'path' still is the one behind 'is'. */
static bool same(const char *path, const struct stat *is) {
  struct stat there;
  return stat(path, &there) == 0 && there.st_dev == is->st_dev && there.st_ino == is->st_ino;
}

/* Returns a locked fd, or -1 with errno set; EWOULDBLOCK: the lock is another's. An owner that ends
 * removes its file, so what was locked may be nobody's file any more: then once again. */
static int lock(const char *path) {
  struct stat locked;
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return -1;
    int failed = flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &locked) != 0;
    if (!failed && same(path, &locked)) return fd;
    int error = errno;
    close(fd);
    errno = error;
    if (failed) return -1;
  }
}

/* What the owner wrote; "?" when it has not come to that yet. */
static void read_pid(const char *path, char pid[32]) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t bytes = fd >= 0 ? read(fd, pid, 31) : -1;
  if (fd >= 0) close(fd);
  pid[bytes > 0 ? bytes : 0] = 0;
  pid[strcspn(pid, "\n")] = 0;
  if (!*pid) strcpy(pid, "?");
}

static void explain(const char *path, const char *name, int error, char *why, size_t why_size) {
  char pid[32];
  read_pid(path, pid);
  if (error == EWOULDBLOCK)
    snprintf(why, why_size, "\"%s\" runs already: pid %s (%s)", name, pid, path);
  else
    snprintf(why, why_size, "%s: %s", path, strerror(error));
}

static int write_pid(int fd) {
  if (ftruncate(fd, 0) != 0) return -1;
  return dprintf(fd, "%ld\n", (long)getpid()) > 0 ? 0 : -1;
}

tiny_pidfile *tiny_pidfile_lock(const tiny_conf *conf, char *why, size_t why_size) {
  tiny_pidfile *pidfile = calloc(1, sizeof *pidfile);
  char *path = tiny_pidfile_path(conf, ".pid");
  int fd = pidfile && path ? lock(path) : -1;
  if (fd >= 0 && write_pid(fd) == 0) {
    pidfile->fd = fd;
    pidfile->path = path;
    return pidfile;
  }
  if (path)
    explain(path, tiny_conf_string(conf, "svr.name"), errno, why, why_size);
  else
    snprintf(why, why_size, "out of memory");
  if (fd >= 0) close(fd);
  free(path);
  free(pidfile);
  return NULL;
}

int tiny_pidfile_note(tiny_pidfile *pidfile, const tiny_conf *conf, char *why, size_t why_size) {
  tiny_note note = {.pid = getpid()};
  char *socket = tiny_pidfile_path(conf, ".sock");
  snprintf(note.name, sizeof note.name, "%s", tiny_conf_string(conf, "svr.name"));
  snprintf(note.socket, sizeof note.socket, "%s", socket ? socket : "");
  free(socket);
  free(pidfile->note);
  pidfile->note = tiny_note_write(tiny_conf_file(conf), &note, why, why_size);
  if (!pidfile->note) return -1;
  return stat(pidfile->note, &pidfile->mine);
}

void tiny_pidfile_give(tiny_pidfile *pidfile, uid_t uid, gid_t gid) {
  if (pidfile->note && lchown(pidfile->note, uid, gid) != 0) {}
}

/* A note that another server of the same conf.lua has left since is not ours to remove.
 * The pid file goes before its lock does. */
void tiny_pidfile_unlock(tiny_pidfile *pidfile) {
  if (!pidfile) return;
  if (pidfile->note && same(pidfile->note, &pidfile->mine)) unlink(pidfile->note);
  unlink(pidfile->path);
  close(pidfile->fd);
  free(pidfile->note);
  free(pidfile->path);
  free(pidfile);
}
