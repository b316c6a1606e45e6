/* SPDX-License-Identifier: MIT
 * loglevel.c -- tiny loglevel. */
#include "client.h"
#include "command.h"

enum { ANSWER_S = 10 };

static int loglevel(tiny_arguments *arguments) {
  int wrong = tiny_arguments_done(arguments, 1, 2);
  if (wrong) return wrong;
  json_t *request =
      json_pack("{s:s,s:s}", "do", "loglevel", "level", arguments->list[arguments->count - 1]);
  if (arguments->count == 2) json_object_set_new(request, "sink", json_string(arguments->list[0]));
  return tiny_server_exchange(arguments->conf, request, ANSWER_S);
}

const tiny_command tiny_command_loglevel = {
    .name = "loglevel",
    .synopsis = "[-c conf.lua] [console|syslog|file_log|email] LEVEL",
    .summary = "Change a log level in the running server until the next reload",
    .help = "LEVEL is DEBUG, INFO, WARN or ERROR; without a sink it is for all of them.\n"
            "Exit codes: 0 changed, 1 refused, 3 no server runs.",
    .run = loglevel,
};
