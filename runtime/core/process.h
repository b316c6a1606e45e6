/* SPDX-License-Identifier: MIT
 * process.h -- starting a process at the other end of pipes. */
#ifndef TINY_PROCESS_H
#define TINY_PROCESS_H

#include <sys/types.h>

/* What to start. Strings are only read. */
typedef struct tiny_program {
  char *const *argv; /* argv[0] is looked for in PATH when it holds no slash */
  char *const *envp; /* NULL: our own environment */
  const char *cwd;   /* NULL: our own */
} tiny_program;

/* A process in a group of its own, with default signals, nothing of ours open. All descriptors are
 * non-blocking and closed on exec. */
typedef struct tiny_spawned {
  pid_t pid;
  int pidfd;    /* readable once it has ended; waitid(P_PIDFD) takes the outcome */
  int pipes[3]; /* our ends of its standard streams */
} tiny_spawned;

/* Returns 0 or a negative UV code, such as UV_ENOENT when there is no such program. */
int tiny_spawn(const tiny_program *program, tiny_spawned *spawned);

#endif
