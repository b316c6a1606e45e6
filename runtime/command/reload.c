/* SPDX-License-Identifier: MIT
 * reload.c -- tiny reload: its outcome is the server's own text. */
#include "client.h"
#include "command.h"

static int reload(tiny_arguments *arguments) {
  int wrong = tiny_arguments_done(arguments, 0, 0);
  if (wrong) return wrong;
  return tiny_server_exchange(arguments->conf, json_pack("{s:s}", "do", "reload"), 0);
}

const tiny_command tiny_command_reload = {
    .name = "reload",
    .synopsis = "[-c conf.lua]",
    .summary = "Load conf.lua and the script anew in the running server, and wait for the outcome",
    .help = "Exit codes: 0 reloaded, 1 refused (the server goes on as it was), 3 no server runs.",
    .run = reload,
};
