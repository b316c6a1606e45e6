/* SPDX-License-Identifier: MIT
 * main.c -- the tiny command. */
#include "tiny.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  char why[4096];
  int i = 2;
  tiny_options options = {.signals = true, .exits = true};
  if (i + 1 < argc && strcmp(argv[i], "-c") == 0) options.conf = argv[i + 1], i += 2;
  if (i < argc) options.script = argv[i++];
  options.argc = argc - i < 0 ? 0 : argc - i;
  options.argv = argv + i;
  if (argc > 1 && strcmp(argv[1], "check") == 0) {
    int rc = tiny_check(&options, why, sizeof why);
    fprintf(rc ? stderr : stdout, "%s\n", rc ? why : "ok");
    return rc != 0;
  }
  tiny *runtime = tiny_new(&options, why, sizeof why);
  if (!runtime) {
    fprintf(stderr, "%s\n", why);
    return 1;
  }
  int code = tiny_run(runtime);
  tiny_free(runtime);
  return code;
}
