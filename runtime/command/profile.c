/* SPDX-License-Identifier: MIT
 * profile.c -- tiny profile: folded stacks, or a flame graph. */
#include "client.h"
#include "command.h"
#include "flame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_S = 10, LONGEST_S = 600 };

static int save_picture(const char *path, char *folded, double seconds) {
  char title[64];
  FILE *out = fopen(path, "w");
  snprintf(title, sizeof title, "Lua, %g s", seconds);
  if (out) tiny_flame_draw(out, folded, title);
  if (out && fclose(out) == 0) return 0;
  fprintf(stderr, "%s: %s\n", path, strerror(errno));
  return 1;
}

static int show(const json_t *answer, const char *svg, double seconds) {
  const char *text = json_string_value(json_object_get(answer, "text"));
  if (!json_is_true(json_object_get(answer, "ok")) || !text) {
    fprintf(stderr, "%s\n", text ? text : "no answer");
    return 1;
  }
  char *folded = strdup(text);
  int code = 0;
  if (svg && folded)
    code = save_picture(svg, folded, seconds);
  else
    fputs(text, stdout);
  free(folded);
  return code;
}

static int sample(const tiny_arguments *arguments, const char *svg, double seconds) {
  tiny_server server;
  int code = tiny_server_find(arguments->conf, &server);
  if (code != 0) return code;
  json_t *request = json_pack("{s:s,s:f}", "do", "profile", "seconds", seconds);
  json_t *answer = tiny_server_ask(&server, request, (int)seconds + SPARE_S);
  code = answer ? show(answer, svg, seconds) : 1;
  json_decref(answer);
  tiny_server_leave(&server);
  return code;
}

static int profile(tiny_arguments *arguments) {
  const char *svg = tiny_arguments_value(arguments, "--svg");
  int wrong = tiny_arguments_done(arguments, 0, 1);
  if (wrong) return wrong;
  const char *given = arguments->count ? arguments->list[0] : "5";
  char *end;
  double seconds = strtod(given, &end);
  if (end == given || *end || !(seconds > 0 && seconds <= LONGEST_S))
    return tiny_arguments_wrong(arguments, "these are no seconds from more than 0 to 600: %s",
                                given);
  return sample(arguments, svg, seconds);
}

const tiny_command tiny_command_profile = {
    .name = "profile",
    .synopsis = "[-c conf.lua] [--svg FILE] [SECONDS]",
    .summary = "Sample the Lua of the running server for 5 s",
    .help = "Prints a line for each stack: \"outermost;...;innermost samples\", a sample for each "
            "ms that\n"
            "Lua has run. With --svg it draws them as a flame graph.\n"
            "Exit codes: 0 done, 1 not, 3 no server runs.",
    .run = profile,
};
