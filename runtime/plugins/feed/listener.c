/* SPDX-License-Identifier: MIT
 * listener.c -- whether a path is free is found out by connecting to it. The folder is
 * locked meanwhile, so that of two servers that start at once only one takes it. */
#include "listener.h"
#include "unix_address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* The mode is set before the file exists: there is no moment at which others may connect. */
static int listen_at(const struct sockaddr_un *address) {
  int rc = tiny_unix_clear(address);
  if (rc != 0) return rc;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (fchmod(fd, 0600) == 0 && bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
      listen(fd, BACKLOG) == 0)
    return fd;
  rc = -errno;
  close(fd);
  return rc;
}

/* Returns a locked fd of the folder that 'path' is in, or a negative errno. */
static int lock_folder(const char *path) {
  char folder[sizeof((struct sockaddr_un *)0)->sun_path];
  const char *slash = strrchr(path, '/');
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -EADDRINUSE;
}

int tiny_listener_open(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int folder = lock_folder(path);
  if (folder < 0) return folder;
  int fd = listen_at(&address);
  close(folder);
  return fd;
}
