/* SPDX-License-Identifier: MIT
 * run.c -- tiny run and tiny check: the runtime itself. */
#include "command.h"
#include "init.h"

#include <malloc.h>
#include <stdio.h>

enum { WHY = 4096 };

static tiny_options options_of(const tiny_arguments *arguments) {
  tiny_options options = {.conf = arguments->conf,
                          .console = true,
                          .control = true,
                          .signals = true,
                          .exits = true,
                          .interrupts = true,
                          .notifies = true,
                          .crashes = true};
  if (arguments->count > 0) {
    options.script = arguments->list[0];
    options.argc = arguments->count - 1;
    options.argv = arguments->list + 1;
  }
  return options;
}

int tiny_command_serve(const tiny_command *command, const tiny_options *options) {
  char why[WHY] = "";
  tiny *runtime = tiny_new(options, why, sizeof why);
  if (!runtime) {
    fprintf(stderr, "tiny %s: %s\n", command->name, why);
    return TINY_EXIT_START;
  }
  int code = tiny_run(runtime);
  tiny_free(runtime);
  return code;
}

static int run(tiny_arguments *arguments) {
  bool fresh = tiny_arguments_flag(arguments, "--fresh");
  int wrong = tiny_arguments_done(arguments, 0, arguments->count);
  if (wrong) return wrong;
  tiny_init();
  /* Threads that come and go with reloads would each leave a heap behind. */
  mallopt(M_ARENA_MAX, 1);
  tiny_options options = options_of(arguments);
  options.fresh = fresh;
  return tiny_command_serve(arguments->command, &options);
}

const tiny_command tiny_command_run = {
    .name = "run",
    .synopsis = "[-c conf.lua] [--fresh] [script.lua] [args...]",
    .summary = "Run the server in the foreground",
    .help = "script.lua is taken instead of svr.script; what follows it is self.args.\n"
            "--fresh begins with an empty context, whatever checkpoints there are.\n"
            "SIGHUP and SIGUSR1 reload, SIGTERM and SIGINT close (a second one ends at once),\n"
            "SIGUSR2 opens the log files again, SIGQUIT logs the Lua stack.\n\n"
            "Exit codes: 0 closed on request, 1 not started, 252 closing had to be forced,\n"
            "253 hung, 254 an error that on_except did not accept, 255 on_except itself failed.",
    .passes_on = true,
    .run = run,
};

static int check(tiny_arguments *arguments) {
  char why[WHY] = "";
  int wrong = tiny_arguments_done(arguments, 0, arguments->count);
  if (wrong) return wrong;
  tiny_options options = options_of(arguments);
  if (tiny_check(&options, why, sizeof why) == 0) {
    puts("ok");
    return 0;
  }
  fprintf(stderr, "%s\n", why);
  return 1;
}

const tiny_command tiny_command_check = {
    .name = "check",
    .synopsis = "[-c conf.lua] [script.lua] [args...]",
    .summary = "Load conf.lua and the script and start nothing",
    .help = "Exit codes: 0 they load, 1 they do not.",
    .passes_on = true,
    .run = check,
};
