/* SPDX-License-Identifier: MIT
 * arguments.c -- taking options out of a command's arguments. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void take_out(tiny_arguments *arguments, int index, int count) {
  int after = arguments->count - index - count;
  memmove(arguments->list + index, arguments->list + index + count,
          (size_t)after * sizeof *arguments->list);
  arguments->count -= count;
  arguments->plain -= count;
}

bool tiny_arguments_flag(tiny_arguments *arguments, const char *name) {
  bool found = false;
  for (int i = 0; i < arguments->plain;) {
    if (strcmp(arguments->list[i], name) != 0) {
      i++;
      continue;
    }
    take_out(arguments, i, 1);
    found = true;
  }
  return found;
}

/* The last one counts. "--name=value" is understood too. */
const char *tiny_arguments_value(tiny_arguments *arguments, const char *name) {
  const char *value = NULL;
  size_t length = strlen(name);
  for (int i = 0; i < arguments->plain;) {
    const char *argument = arguments->list[i];
    bool same = strncmp(argument, name, length) == 0;
    if (same && argument[length] == '=') {
      value = argument + length + 1;
      take_out(arguments, i, 1);
    } else if (same && argument[length] == 0 && i + 1 < arguments->plain) {
      value = arguments->list[i + 1];
      take_out(arguments, i, 2);
    } else
      i++;
  }
  return value;
}

int tiny_arguments_done(const tiny_arguments *arguments, int least, int most) {
  for (int i = 0; i < arguments->plain; i++)
    if (arguments->list[i][0] == '-' && arguments->list[i][1])
      return tiny_arguments_wrong(arguments, "unknown option, or one without its value: %s",
                                  arguments->list[i]);
  if (arguments->count < least) return tiny_arguments_wrong(arguments, "something is missing");
  if (arguments->count > most)
    return tiny_arguments_wrong(arguments, "too much: %s", arguments->list[most]);
  return 0;
}

int tiny_arguments_wrong(const tiny_arguments *arguments, const char *format, ...) {
  const tiny_command *command = arguments->command;
  va_list list;
  fprintf(stderr, "tiny %s: ", command->name);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, "\nusage: tiny %s %s\n", command->name, command->synopsis);
  return TINY_USAGE;
}
