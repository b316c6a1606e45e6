/* SPDX-License-Identifier: MIT
 * note.c -- four lines of plain text: pid, name, socket, conf.lua. */
#include "note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for what is put behind a path: ".run", and ".XXXXXX" while it is written. */
enum { NOTE_PATH = PATH_MAX + 16 };

/* The folder is resolved and the file's own name kept: conf.lua may be missing, or be a link. */
static int absolute(const char *conf, char path[PATH_MAX]) {
  char folder[PATH_MAX];
  const char *slash = strrchr(conf, '/');
  const char *base = slash ? slash + 1 : conf;
  int length = slash ? (int)(base - conf) : 1;
  if (snprintf(folder, sizeof folder, "%.*s", length, slash ? conf : ".") >= PATH_MAX) return -1;
  if (!realpath(folder, path)) return -1;
  size_t end = strcmp(path, "/") == 0 ? 0 : strlen(path);
  return snprintf(path + end, PATH_MAX - end, "/%s", base) < (int)(PATH_MAX - end) ? 0 : -1;
}

/* FNV-1a, 64 bits: only a file name that fits; the note itself names its conf.lua. */
static uint64_t hash(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
  return h;
}

static void place_of(const char *conf, int place, char path[NOTE_PATH]) {
  if (place == 0)
    snprintf(path, NOTE_PATH, "%s.run", conf);
  else
    snprintf(path, NOTE_PATH, "/run/tiny/%016llx.run", (unsigned long long)hash(conf));
}

/* Renamed into its place when complete, so that nobody reads half a note. */
static int write_at(const char *path, const char *conf, const tiny_note *note) {
  char part[NOTE_PATH + 8];
  snprintf(part, sizeof part, "%s.XXXXXX", path);
  int fd = mkostemp(part, O_CLOEXEC);
  if (fd < 0) return -1;
  int bytes = dprintf(fd, "%ld\n%s\n%s\n%s\n", (long)note->pid, note->name, note->socket, conf);
  int failed = bytes < 0 || fchmod(fd, 0644) != 0;
  failed |= close(fd);
  if (!failed && rename(part, path) == 0) return 0;
  unlink(part);
  return -1;
}

char *tiny_note_write(const char *conf, const tiny_note *note, char *why, size_t why_size) {
  char file[PATH_MAX], path[NOTE_PATH];
  int error = absolute(conf, file) == 0 ? 0 : errno;
  for (int place = 0; !error && place < TINY_NOTE_PLACES; place++) {
    place_of(file, place, path);
    if (place > 0) mkdir("/run/tiny", 0755);
    if (write_at(path, file, note) == 0) return strdup(path);
  }
  if (!error) error = errno;
  snprintf(why, why_size, "cannot leave a note beside %s or in /run/tiny: %s", conf,
           strerror(error));
  return NULL;
}

/* One line without its end. */
static int read_line(FILE *file, char *line, size_t size) {
  if (!fgets(line, (int)size, file)) return -1;
  size_t length = strcspn(line, "\n");
  if (line[length] != '\n') return -1;
  line[length] = 0;
  return 0;
}

static int read_from(FILE *file, const char *conf, tiny_note *note) {
  char pid[32], owner[PATH_MAX + 1];
  if (read_line(file, pid, sizeof pid) != 0) return -1;
  if (read_line(file, note->name, sizeof note->name) != 0) return -1;
  if (read_line(file, note->socket, sizeof note->socket) != 0) return -1;
  if (read_line(file, owner, sizeof owner) != 0 || strcmp(owner, conf) != 0) return -1;
  note->pid = (pid_t)strtol(pid, NULL, 10);
  return note->pid > 0 ? 0 : -1;
}

int tiny_note_read(const char *conf, int place, tiny_note *note) {
  char file[PATH_MAX], path[NOTE_PATH];
  if (absolute(conf, file) != 0) return -1;
  place_of(file, place, path);
  FILE *stream = fopen(path, "re");
  if (!stream) return -1;
  int result = read_from(stream, file, note);
  fclose(stream);
  return result;
}
