/* SPDX-License-Identifier: MIT
 * spec.c -- tiny spec: a server that does nothing but run busted. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char CONF[] = "return {\n"
                           "  ['svr.name'] = 'spec', ['svr.script'] = 'runner',\n"
                           "  ['svr.monitor'] = false, ['svr.log_conf_on_reload'] = false,\n"
                           "  ['svr.timer.run_status_check_time_span'] = 0,\n"
                           "  ['log.console.level'] = 'WARN',\n"
                           "}\n";
static const char SCRIPT[] = "return require('tiny.spec').Runner\n";

/* A file that exists only for us, and its path. Returns 0, or -1. */
static int write_file(const char *text, char *path, size_t size) {
  int fd = memfd_create("tiny-spec", MFD_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) return -1;
  snprintf(path, size, "/proc/self/fd/%d", fd);
  return 0;
}

static int spec(tiny_arguments *arguments) {
  char conf[64], script[64];
  char **list = calloc((size_t)arguments->count + 1, sizeof *list);
  if (!list || write_file(CONF, conf, sizeof conf) != 0 ||
      write_file(SCRIPT, script, sizeof script) != 0) {
    perror("tiny spec");
    free(list);
    return EXIT_FAILURE;
  }
  list[0] = (char *)arguments->conf;
  for (int i = 0; i < arguments->count; i++) list[i + 1] = arguments->list[i];
  tiny_options options = {.conf = conf,
                          .script = script,
                          .argc = arguments->count + 1,
                          .argv = list,
                          .console = true,
                          .signals = true,
                          .exits = true,
                          .interrupts = true,
                          .crashes = true};
  int code = tiny_command_serve(arguments->command, &options);
  free(list);
  return code;
}

const tiny_command tiny_command_spec = {
    .name = "spec",
    .synopsis = "[-c conf.lua] [busted's options] [files...]",
    .summary = "Run busted specs inside the runtime",
    .help =
        "Without files it takes those beside conf.lua, in spec/, whose names end in _spec.lua. "
        "They can\n"
        "use everything that scripts can, and require \"tiny.spec\": a server to test, and a clock "
        "to turn.\n"
        "Needs busted (Debian: lua-busted). Its options go before the files, as --name=value.\n\n"
        "Exit codes: 0 all passed, 1 not all.",
    .run = spec,
};
