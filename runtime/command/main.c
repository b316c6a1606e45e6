/* SPDX-License-Identifier: MIT
 * main.c -- the `tiny` command: which of its commands is meant, and with which conf.lua. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const tiny_command *const commands[] = {
    &tiny_command_run,      &tiny_command_check, &tiny_command_reload,  &tiny_command_close,
    &tiny_command_status,   &tiny_command_stack, &tiny_command_profile, &tiny_command_eval,
    &tiny_command_loglevel, &tiny_command_top,   &tiny_command_new,     &tiny_command_spec,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int print_version(void) {
  puts("tiny " TINY_VERSION);
  return 0;
}

static void print_usage(FILE *out) {
  fputs("usage: tiny COMMAND [-c conf.lua] [arguments]\n\n", out);
  for (int i = 0; i < COMMANDS; i++)
    fprintf(out, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
  fputs("\n-c defaults to conf.lua in the current folder. tiny COMMAND --help says more.\n", out);
}

static int print_help(void) {
  print_usage(stdout);
  return 0;
}

static int print_command_help(const tiny_command *command) {
  printf("usage: tiny %s %s\n\n%s.\n", command->name, command->synopsis, command->summary);
  if (command->help) printf("\n%s\n", command->help);
  return 0;
}

static int least(int a, int b) { return a < b ? a : b; }

/* Edit distance, of words of at most 31 letters. */
static int distance(const char *a, const char *b) {
  int row[32], columns = (int)strlen(b);
  for (int j = 0; j <= columns; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= columns; j++) {
      int above = row[j];
      row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
      diagonal = above;
    }
  }
  return row[columns];
}

static const char *nearest(const char *word) {
  const char *found = NULL;
  int best = 3; /* from here on it is another word */
  for (int i = 0; i < COMMANDS && strlen(word) < 32; i++) {
    int d = distance(word, commands[i]->name);
    if (d < best) found = commands[i]->name;
    best = least(best, d);
  }
  return found;
}

static int unknown_command(const char *word) {
  const char *other = nearest(word);
  fprintf(stderr, "tiny: unknown command \"%s\"", word);
  if (other) fprintf(stderr, ": is it \"%s\"?", other);
  fputs("\ntiny --help lists the commands\n", stderr);
  return TINY_USAGE;
}

/* Takes "-c FILE" at argv[*i]. Returns false when that is not what stands there. */
static bool take_conf(char **argv, int *i, const char **conf) {
  if (strncmp(argv[*i], "-c", 2) != 0) return false;
  if (argv[*i][2])
    *conf = argv[*i] + 2;
  else if (argv[*i + 1])
    *conf = argv[++*i];
  else
    return false;
  return true;
}

/* What follows the command's name, from argv[i] on, is moved to the front of argv. */
static int run_command(const tiny_command *command, const char *conf, char **argv, int i) {
  tiny_arguments arguments = {command, conf, argv, 0, 0};
  for (bool options = true; argv[i]; i++) {
    if (options && take_conf(argv, &i, &arguments.conf)) continue;
    if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
      return print_command_help(command);
    if (options && (command->passes_on && argv[i][0] != '-')) options = false;
    if (options && strcmp(argv[i], "--") == 0) {
      options = false;
      continue;
    }
    argv[arguments.count++] = argv[i];
    if (options) arguments.plain = arguments.count;
  }
  return command->run(&arguments);
}

static int dispatch(char **argv) {
  const char *conf = "conf.lua";
  for (int i = 1; argv[i]; i++) {
    if (take_conf(argv, &i, &conf)) continue;
    if (strcmp(argv[i], "--version") == 0) return print_version();
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return print_help();
    for (int c = 0; c < COMMANDS; c++)
      if (strcmp(argv[i], commands[c]->name) == 0)
        return run_command(commands[c], conf, argv, i + 1);
    return unknown_command(argv[i]);
  }
  print_usage(stderr);
  return TINY_USAGE;
}

/* A file that got the number of a closed standard stream would be written what is meant for it. */
static void fill_standard_streams(void) {
  for (int fd = 0; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDWR);
}

int main(int argc, char **argv) {
  (void)argc;
  fill_standard_streams();
  int code = dispatch(argv);
  if (fflush(stdout) == 0) return code;
  fprintf(stderr, "tiny: standard output: %s\n", strerror(errno));
  return code ? code : EXIT_FAILURE;
}
