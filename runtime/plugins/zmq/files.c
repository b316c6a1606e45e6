/* SPDX-License-Identifier: MIT
 * files.c -- the files of ipc endpoints, which ZeroMQ leaves behind. */
#include "sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct zmq_file {
  zmq_file *next;
  dev_t device;
  ino_t inode;
  char path[];
};

/* "@name" has no file, and what is made of "*" ZeroMQ removes itself. */
const char *zmq_files_path(const char *endpoint) {
  const char *path = endpoint + strlen("ipc://");
  if (strncmp(endpoint, "ipc://", strlen("ipc://")) != 0) return NULL;
  return *path == '@' || *path == '*' ? NULL : path;
}

void zmq_files_note(tiny_zmq_socket *s, const char *endpoint) {
  const char *path = zmq_files_path(endpoint);
  struct stat st;
  zmq_file *file;
  if (!path || lstat(path, &st) != 0) return;
  if (!(file = malloc(sizeof *file + strlen(path) + 1))) return;
  *file = (zmq_file){.next = s->files, .device = st.st_dev, .inode = st.st_ino};
  strcpy(file->path, path);
  s->files = file;
}

/* Somebody else's may be there by now. */
static void unlink_own(const zmq_file *file) {
  struct stat st;
  if (lstat(file->path, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode)
    unlink(file->path);
}

void zmq_files_remove(tiny_zmq_socket *s) {
  while (s->files) {
    zmq_file *file = s->files;
    s->files = file->next;
    unlink_own(file);
    free(file);
  }
}
