/* SPDX-License-Identifier: MIT
 * plugin.c -- finding and opening the runtime's own shared objects. */
#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of the object that this code is in: the tiny command or libtiny. */
static int own_folder(char *folder, size_t size) {
  Dl_info info;
  char path[PATH_MAX];
  if (!dladdr((void *)tiny_plugin_table, &info)) return -1;
  if (!strchr(info.dli_fname, '/') || !realpath(info.dli_fname, path)) {
    if (!realpath("/proc/self/exe", path)) return -1;
  }
  *strrchr(path, '/') = 0;
  return snprintf(folder, size, "%s", path) < (int)size ? 0 : -1;
}

/* Beside us in a build tree; below libtiny or beside a program's bin where we are installed. The
 * first that is there is taken, so that what is wrong with it can be told. */
static void *open_plugin(const char *name) {
  static const char *const places[] = {"%s/plugins/tiny-%s.so", "%s/../plugins/tiny-%s.so",
                                       "%s/tiny/tiny-%s.so", "%s/" TINY_PLUGINS "/tiny-%s.so"};
  char folder[PATH_MAX], path[PATH_MAX + 64];
  if (own_folder(folder, sizeof folder) != 0) return NULL;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, sizeof path, places[i], folder, name);
    if (access(path, F_OK) == 0) return dlopen(path, RTLD_NOW | RTLD_NODELETE);
  }
  snprintf(path, sizeof path, TINY_PLUGINS_FULL "/tiny-%s.so", name);
  return dlopen(path, RTLD_NOW | RTLD_NODELETE);
}

const void *tiny_plugin_table(const char *name, const char *symbol, char *why, size_t why_size) {
  void *handle = open_plugin(name);
  void *table = handle ? dlsym(handle, symbol) : NULL;
  const char *error = table ? NULL : dlerror();
  if (!table) snprintf(why, why_size, "tiny-%s.so: %s", name, error ? error : "not found");
  return table;
}
