/* SPDX-License-Identifier: MIT
 * checkpoint.c -- writing a checkpoint so that a crash cannot hurt it, and telling a good one. */
#include "checkpoint.h"
#include "base64.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 1 };

static const char MAGIC[8] = "tinyckpt";

/* In the machine's byte order: another one shows as another version. */
typedef struct head {
  char magic[8];
  uint32_t version;
  uint32_t checksum; /* of all that follows */
  uint64_t token, sequence;
  int64_t saved_at;
  uint64_t size; /* of the bytes behind the head */
} head;
_Static_assert(sizeof(head) == TINY_CHECKPOINT_HEAD, "the head is what is on disk");

static uint32_t checksum(const head *h, const char *bytes, size_t size) {
  size_t from = offsetof(head, token);
  uLong sum = crc32_z(0, (const Bytef *)h + from, sizeof *h - from);
  return (uint32_t)crc32_z(sum, (const Bytef *)bytes, size);
}

void tiny_checkpoint_head(const tiny_checkpoint *c, char bytes[TINY_CHECKPOINT_HEAD]) {
  head h = {.version = VERSION,
            .token = c->token,
            .sequence = c->sequence,
            .saved_at = c->saved_at,
            .size = c->size};
  memcpy(h.magic, MAGIC, sizeof h.magic);
  h.checksum = checksum(&h, c->bytes, c->size);
  memcpy(bytes, &h, sizeof h);
}

bool tiny_checkpoint_newer(const tiny_checkpoint *a, const tiny_checkpoint *b) {
  return a->token != b->token ? a->token > b->token : a->sequence > b->sequence;
}

/* The head has a length that base64 needs no padding for. */
_Static_assert(TINY_CHECKPOINT_HEAD % 3 == 0, "head and bytes can be encoded one after the other");

char *tiny_checkpoint_text(const tiny_checkpoint *c) {
  char start[TINY_CHECKPOINT_HEAD];
  char *text = malloc(TINY_BASE64_ROOM(sizeof start + c->size));
  if (!text) return NULL;
  tiny_checkpoint_head(c, start);
  size_t length = tiny_base64_encode(start, sizeof start, text);
  tiny_base64_encode(c->bytes, c->size, text + length);
  return text;
}

/* What is wrong with it, or NULL. */
static const char *fault_of(const head *h, const char *bytes, size_t size) {
  if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0) return "it is no checkpoint";
  if (h->version != VERSION) return "another version of tiny wrote it";
  if (h->size > size) return "its end is missing";
  if (h->size < size) return "it is longer than it should be";
  if (h->checksum != checksum(h, bytes, size)) return "its checksum is wrong";
  return NULL;
}

int tiny_checkpoint_parse(const char *blob, size_t size, tiny_checkpoint *c, char *why,
                          size_t why_size) {
  head h;
  const char *fault = "its end is missing";
  if (size >= sizeof h) {
    memcpy(&h, blob, sizeof h);
    fault = fault_of(&h, blob + sizeof h, size - sizeof h);
  }
  if (fault) {
    snprintf(why, why_size, "%s", fault);
    return -1;
  }
  *c = (tiny_checkpoint){h.token, h.sequence, h.saved_at, blob + sizeof h, (size_t)h.size};
  return 0;
}

/* -- names ----------------------------------------------------------------- */

static char *extended(const char *path, const char *extension) {
  char *name;
  return asprintf(&name, "%s%s", path, extension) < 0 ? NULL : name;
}

char *tiny_checkpoint_previous(const char *path) { return extended(path, ".1"); }

void tiny_checkpoint_put_aside(const char *path) {
  char *aside = extended(path, ".damaged");
  if (aside) rename(path, aside);
  free(aside);
}

void tiny_checkpoint_tidy(const char *path) {
  char *draft = extended(path, ".tmp");
  if (draft) unlink(draft);
  free(draft);
}

/* -- writing --------------------------------------------------------------- */

/* Each of these returns 0 or a negative errno. */
static int put(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno != EINTR) return -errno;
    if (written > 0) bytes += written, size -= (size_t)written;
  }
  return 0;
}

static int fill(int fd, const tiny_checkpoint *c) {
  char start[TINY_CHECKPOINT_HEAD];
  tiny_checkpoint_head(c, start);
  int rc = put(fd, start, sizeof start);
  if (rc == 0) rc = put(fd, c->bytes, c->size);
  return rc == 0 && fsync(fd) != 0 ? -errno : rc;
}

/* What stands there is a dead process's, or a trap: it is not written to. */
static int write_draft(const char *draft, const tiny_checkpoint *c) {
  unlink(draft);
  int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int rc = fill(fd, c);
  if (close(fd) != 0 && rc == 0) rc = -errno;
  if (rc != 0) unlink(draft);
  return rc;
}

/* Renames last only once the folder is on disk too. */
static int sync_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
  int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  int rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
  if (fd >= 0) close(fd);
  free(folder);
  return rc == -EINVAL ? 0 : rc; /* a filesystem that does not know of this */
}

/* Between the two renames only the one before is there: that is what is read then. */
static int put_in_place(const char *path, const char *draft, const char *previous, bool alone) {
  if (alone && unlink(previous) != 0 && errno != ENOENT) return -errno;
  if (!alone && rename(path, previous) != 0 && errno != ENOENT) return -errno;
  if (rename(draft, path) != 0) return -errno;
  return sync_folder(path);
}

int tiny_checkpoint_write(const char *path, const tiny_checkpoint *c, bool alone, char *why,
                          size_t why_size) {
  char *draft = extended(path, ".tmp"), *previous = tiny_checkpoint_previous(path);
  int rc = draft && previous ? write_draft(draft, c) : -ENOMEM;
  if (rc == 0) rc = put_in_place(path, draft, previous, alone);
  if (rc != 0) snprintf(why, why_size, "%s: %s", path, strerror(-rc));
  free(draft);
  free(previous);
  return rc;
}

/* -- reading --------------------------------------------------------------- */

/* Returns 0 or a negative errno; -EBADMSG when it is shorter than it was. */
static int take(int fd, char *bytes, size_t size) {
  while (size > 0) {
    ssize_t got = read(fd, bytes, size);
    if (got == 0) return -EBADMSG;
    if (got < 0 && errno != EINTR) return -errno;
    if (got > 0) bytes += got, size -= (size_t)got;
  }
  return 0;
}

static int read_whole(const char *path, char **blob, size_t *size) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
  if (fd < 0) return -errno;
  if (fstat(fd, &st) != 0) rc = -errno;
  *size = rc == 0 ? (size_t)st.st_size : 0;
  *blob = rc == 0 ? malloc(*size + 1) : NULL;
  if (rc == 0) rc = *blob ? take(fd, *blob, *size) : -ENOMEM;
  close(fd);
  return rc;
}

int tiny_checkpoint_read(const char *path, char **blob, tiny_checkpoint *c, char *why,
                         size_t why_size) {
  char fault[64];
  size_t size = 0;
  *blob = NULL;
  int rc = read_whole(path, blob, &size);
  if (rc == -ENOENT) return rc;
  if (rc != 0)
    snprintf(why, why_size, "%s: %s", path, strerror(-rc));
  else if (tiny_checkpoint_parse(*blob, size, c, fault, sizeof fault) != 0) {
    snprintf(why, why_size, "%s is damaged: %s", path, fault);
    rc = -EBADMSG;
  }
  if (rc == 0) return 0;
  free(*blob);
  *blob = NULL;
  return rc;
}
