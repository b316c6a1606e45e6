/* SPDX-License-Identifier: MIT
 * http_file.c -- opening files without being led out of a folder. */
#include "http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_below(const char *folder, const char *path) {
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -errno;
  int file = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  int rc = file < 0 ? -errno : file;
  close(root);
  return rc;
}

int tiny_http_open_file(const char *folder, const char *path, struct stat *st) {
  int file = folder ? open_below(folder, path) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return folder ? file : -errno;
  if (fstat(file, st) == 0 && S_ISREG(st->st_mode)) return file;
  int rc = S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
  close(file);
  return rc;
}
