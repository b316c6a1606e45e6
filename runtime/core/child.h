/* SPDX-License-Identifier: MIT
 * child.h -- a process that is fed, listened to and waited for. Loop thread. */
#ifndef TINY_CHILD_H
#define TINY_CHILD_H

#include "poller.h"
#include "process.h"

#include <stdbool.h>
#include <stddef.h>

/* What it has written to one of its streams. */
typedef struct tiny_output {
  tiny_poll poll;
  char *data;
  size_t size, room;
} tiny_output;

typedef struct tiny_child tiny_child;
struct tiny_child {
  tiny_child *next;
  tiny_poller *poller;
  tiny_child **list; /* where all are that have not ended */
  pid_t pid;
  tiny_poll exit, in;
  char *input; /* what is to be written to its standard input */
  size_t input_size, input_sent;
  tiny_output out, err;
  size_t limit; /* bytes of each */
  bool over, abandoned;
  int failed; /* UV_EMSGSIZE: it wrote more and was killed; 0 */
  int code;   /* once it is over: exit code, 128 + number for a signal, or a negative UV code */
  void (*on_over)(tiny_child *child);
  void *owner;
};

/* Start one and list it. 'input' is copied. Returns NULL with a negative UV code in 'rc'. Give it
 * back with tiny_child_abandon(). */
tiny_child *tiny_child_start(tiny_poller *poller, tiny_child **list, const tiny_program *program,
                             const char *input, size_t input_size, size_t limit, int *rc);

/* Kill its whole process group. Harmless once it is over. */
void tiny_child_kill(tiny_child *child);

/* Nobody is interested any more: killed when it runs still, and freed when it is over. */
void tiny_child_abandon(tiny_child *child);

/* The runtime goes: wait, a moment at most, for the end of those that were killed. */
void tiny_children_close(tiny_child **list);

#endif
