/* SPDX-License-Identifier: MIT
 * activation.h -- sockets that the service manager opened for us (sd_listen_fds(3)): found by
 * name, as "fd:NAME" addresses. */
#ifndef TINY_ACTIVATION_H
#define TINY_ACTIVATION_H

enum { TINY_PASSED_MAX = 16 };

typedef struct tiny_activation {
  int count;
  struct {
    char name[256];
    int fd; /* -1 once taken */
  } passed[TINY_PASSED_MAX];
} tiny_activation;

/* Read LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, which stay as they are. No child inherits the
 * descriptors from here on. Call it before anything else is opened, so that what is open came
 * with the process. */
void tiny_activation_read(tiny_activation *activation);

/* The next descriptor of that name, which is the caller's then; -1 when there is none (left). */
int tiny_activation_take(tiny_activation *activation, const char *name);

#endif
