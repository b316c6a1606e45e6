/* SPDX-License-Identifier: MIT
 * eval.c -- tiny eval. */
#include "client.h"
#include "command.h"

#include <stdlib.h>

/* The server answers for itself when the time is up; it is given up well after that. */
enum { SPARE_S = 10, LONGEST_S = 86400 };

static int eval(tiny_arguments *arguments) {
  const char *given = tiny_arguments_value(arguments, "--timeout");
  char *end = NULL;
  double timeout = given ? strtod(given, &end) : 1;
  if (given && (end == given || *end || !(timeout > 0 && timeout <= LONGEST_S)))
    return tiny_arguments_wrong(arguments, "--timeout needs seconds, more than 0: %s", given);
  int wrong = tiny_arguments_done(arguments, 1, 1);
  if (wrong) return wrong;
  json_t *request =
      json_pack("{s:s,s:s,s:f}", "do", "eval", "code", arguments->list[0], "timeout", timeout);
  return tiny_server_exchange(arguments->conf, request, (int)timeout + SPARE_S);
}

const tiny_command tiny_command_eval = {
    .name = "eval",
    .synopsis = "[-c conf.lua] [--timeout SECONDS] LUA",
    .summary = "Run Lua in the running server and print its results",
    .help = "self is the server. The chunk may take 1 s, or as long as --timeout says.\n"
            "Exit codes: 0 done, 1 an error or no time, 3 no server runs.",
    .run = eval,
};
