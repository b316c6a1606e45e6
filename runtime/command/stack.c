/* SPDX-License-Identifier: MIT
 * stack.c -- tiny stack. */
#include "client.h"
#include "command.h"

enum { ANSWER_S = 10 };

static int stack(tiny_arguments *arguments) {
  int wrong = tiny_arguments_done(arguments, 0, 0);
  if (wrong) return wrong;
  return tiny_server_exchange(arguments->conf, json_pack("{s:s}", "do", "stack"), ANSWER_S);
}

const tiny_command tiny_command_stack = {
    .name = "stack",
    .synopsis = "[-c conf.lua]",
    .summary = "Show the Lua stack of what the running server does now",
    .help =
        "Compiled code and Lua that is hung included; the server goes on. When nothing runs it\n"
        "shows where run and the tasks wait. In a C function it shows the C stack, too.\n"
        "A system call that a C function of the script's own waits in may return early (EINTR).\n"
        "Exit codes: 0 shown, 1 not, 3 no server runs.",
    .run = stack,
};
