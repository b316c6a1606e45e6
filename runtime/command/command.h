/* SPDX-License-Identifier: MIT
 * command.h -- one command of `tiny`, and the arguments it was given. */
#ifndef TINY_COMMAND_H
#define TINY_COMMAND_H

#include "tiny.h"

#include <stdbool.h>

/* Exit codes of the commands that ask a running server, next to 0 and 1. */
enum { TINY_SAYS_HUNG = 2, TINY_NOT_RUNNING = 3, TINY_USAGE = 64 };

typedef struct tiny_arguments tiny_arguments;

typedef struct tiny_command {
  const char *name;
  const char *synopsis; /* what may follow the name */
  const char *summary;  /* one line, no full stop */
  const char *help;     /* more lines; may be NULL */
  bool passes_on;       /* from the first argument that is no option on, all are the script's */
  int (*run)(tiny_arguments *arguments); /* returns the exit code */
} tiny_command;

struct tiny_arguments {
  const tiny_command *command;
  const char *conf; /* -c */
  char **list;      /* what was given besides -c; ours to change */
  int count;
  int plain; /* from this index on no argument is an option: it stood behind "--" */
};

/* Whether the option was given; it is taken out. */
bool tiny_arguments_flag(tiny_arguments *arguments, const char *name);

/* The value of an option, which is taken out with it; NULL when it was not given. A last
 * option without a value stays, and tiny_arguments_done() complains of it. */
const char *tiny_arguments_value(tiny_arguments *arguments, const char *name);

/* After the options: 0 when between 'least' and 'most' arguments are left and none is an
 * option, otherwise TINY_USAGE, and what is wrong has been said on stderr. */
int tiny_arguments_done(const tiny_arguments *arguments, int least, int most);

/* Say on stderr what is wrong and how the command is used. Returns TINY_USAGE. */
int tiny_arguments_wrong(const tiny_arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Run a server to its end. Returns the exit code; why it could not be made has been said on stderr. */
int tiny_command_serve(const tiny_command *command, const tiny_options *options);

/* One file each. */
extern const tiny_command tiny_command_run, tiny_command_check, tiny_command_reload,
    tiny_command_close, tiny_command_stack, tiny_command_profile, tiny_command_status,
    tiny_command_eval, tiny_command_loglevel, tiny_command_top, tiny_command_new, tiny_command_spec;

#endif
