/* SPDX-License-Identifier: MIT
 * plugin.c -- finding and opening the runtime's own shared objects. */
#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

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

/* Beside us in a build tree, under lib/tiny where we are installed. */
static void *open_plugin(const char *name) {
  static const char *const places[] = {"%s/plugins/tiny-%s.so", "%s/tiny/tiny-%s.so",
                                       "%s/../lib/tiny/tiny-%s.so", "%s/../plugins/tiny-%s.so", NULL};
  char folder[PATH_MAX], path[PATH_MAX + 64];
  void *handle = NULL;
  if (own_folder(folder, sizeof folder) != 0) return NULL;
  for (int i = 0; places[i] && !handle; i++) {
    snprintf(path, sizeof path, places[i], folder, name);
    handle = dlopen(path, RTLD_NOW | RTLD_NODELETE);
  }
  return handle;
}

const void *tiny_plugin_table(const char *name, const char *symbol, char *why, size_t why_size) {
  void *handle = open_plugin(name);
  void *table = handle ? dlsym(handle, symbol) : NULL;
  const char *error = table ? NULL : dlerror();
  if (!table) snprintf(why, why_size, "tiny-%s.so: %s", name, error ? error : "not found");
  return table;
}
