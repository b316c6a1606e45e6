/* SPDX-License-Identifier: MIT
 * unix_address.c -- long paths by way of /proc/self/fd; what a server that crashed has left. */
#include "unix_address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the folder and writes the path that leads through it. */
static int shorten(const char *path, char *out, size_t size) {
  char folder[PATH_MAX];
  const char *name = strrchr(path, '/');
  if (!name || name - path >= PATH_MAX) return -1;
  snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
  int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (snprintf(out, size, "/proc/self/fd/%d%s", fd, name) < (int)size) return fd;
  close(fd);
  errno = ENAMETOOLONG;
  return -1;
}

int tiny_unix_address(const char *path, struct sockaddr_un *address, int *folder) {
  size_t size = sizeof address->sun_path;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  *folder = -1;
  errno = ENAMETOOLONG;
  if (snprintf(address->sun_path, size, "%s", path) < (int)size) return 0;
  *folder = shorten(path, address->sun_path, size);
  return *folder < 0 ? -1 : 0;
}

/* A file that is no socket refuses connections, too. */
int tiny_unix_clear(const struct sockaddr_un *address) {
  struct stat st;
  if (lstat(address->sun_path, &st) != 0) return 0;
  if (!S_ISSOCK(st.st_mode)) return -EADDRINUSE;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
  bool dead = rc != 0 && errno == ECONNREFUSED;
  close(fd);
  return dead && unlink(address->sun_path) == 0 ? 0 : -EADDRINUSE;
}
