/* SPDX-License-Identifier: MIT
 * new.c -- tiny new: a project that runs as it is. */
#include "command.h"
#include "template.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct project {
  char folder[PATH_MAX];
  char name[65];
} project;

static bool is_name(const char *name) {
  size_t length = strlen(name);
  if (length < 1 || length > 64 || strspn(name, ".") == length) return false;
  for (; *name; name++)
    if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) return false;
  return true;
}

/* Write text with its marks replaced. */
static void fill(FILE *out, const char *text, const project *p) {
  for (; *text; text++) {
    if (strncmp(text, "@NAME@", 6) == 0) {
      fputs(p->name, out);
      text += 5;
    } else if (strncmp(text, "@DIR@", 5) == 0) {
      fputs(p->folder, out);
      text += 4;
    } else {
      fputc(*text, out);
    }
  }
}

static char *path_of(const project *p, const tiny_template *t) {
  char *path = NULL;
  size_t size;
  FILE *out = open_memstream(&path, &size);
  if (!out) return NULL;
  fprintf(out, "%s/", p->folder);
  fill(out, t->path, p);
  return fclose(out) == 0 ? path : NULL;
}

/* mkdir -p of all folders above a path. Returns 0, or -1 with errno set. */
static int make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    int rc = mkdir(path, 0777);
    *slash = '/';
    if (rc != 0 && errno != EEXIST) return -1;
  }
  return 0;
}

/* Returns 0, or -1 with errno set; a file that is there already is left alone. */
static int write_file(char *path, const tiny_template *t, const project *p) {
  if (make_folders(path) != 0) return -1;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, t->program ? 0777 : 0666);
  FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
  if (!out) return -1;
  fill(out, t->text, p);
  bool well = !ferror(out);
  return fclose(out) == 0 && well ? 0 : -1;
}

static int complain(const char *what) {
  fprintf(stderr, "tiny new: %s: %s\n", what, strerror(errno));
  return EXIT_FAILURE;
}

/* Nothing is begun that would end halfway because something is in its place. */
static int check_room(const project *p) {
  int code = 0;
  for (const tiny_template *t = tiny_templates; t->path && code == 0; t++) {
    char *path = path_of(p, t);
    errno = EEXIST;
    if (!path || access(path, F_OK) == 0) code = complain(path ? path : "memory");
    free(path);
  }
  return code;
}

static int write_all(const project *p) {
  int code = 0;
  for (const tiny_template *t = tiny_templates; t->path && code == 0; t++) {
    char *path = path_of(p, t);
    if (!path || write_file(path, t, p) != 0) code = complain(path ? path : "memory");
    free(path);
  }
  return code;
}

/* The folder's absolute path; one that is there may be given as ".". Returns 0, or -1. */
static int find_folder(project *p, const char *given) {
  char here[PATH_MAX] = "", there[PATH_MAX];
  if (realpath(given, there)) given = there;
  if (given[0] != '/' && !getcwd(here, sizeof here)) return -1;
  size_t size = sizeof p->folder;
  int n = snprintf(p->folder, size, "%s%s%s", here, *here ? "/" : "", given);
  while (n > 1 && p->folder[n - 1] == '/') p->folder[--n] = 0;
  return (size_t)n < size - 64 ? 0 : -1;
}

static int new (tiny_arguments *arguments) {
  project p;
  char copy[PATH_MAX];
  int wrong = tiny_arguments_done(arguments, 1, 2);
  if (wrong) return wrong;
  if (find_folder(&p, arguments->list[0]) != 0) return complain(arguments->list[0]);
  snprintf(copy, sizeof copy, "%s", p.folder);
  const char *name = arguments->count > 1 ? arguments->list[1] : basename(copy);
  if (!is_name(name))
    return tiny_arguments_wrong(arguments, "\"%s\" is no name: letters, digits, . _ -, at most 64",
                                name);
  snprintf(p.name, sizeof p.name, "%s", name);
  int code = check_room(&p);
  if (code == 0) code = write_all(&p);
  if (code == 0) printf("%s: cd there, then ./svr.sh test and ./svr.sh run\n", p.folder);
  return code;
}

const tiny_command tiny_command_new = {
    .name = "new",
    .synopsis = "DIR [name]",
    .summary = "Make a new project",
    .help =
        "conf.lua with every key, server.lua, a spec for it, svr.sh, and files for supervise and\n"
        "systemd. The name is that of the folder unless given. No file is overwritten.",
    .run = new,
};
