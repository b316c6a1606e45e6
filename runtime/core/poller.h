/* SPDX-License-Identifier: MIT
 * poller.h -- many descriptors behind one libuv handle. Waiting for a socket costs no system
 * call beyond the one that registers it, and closing one is done when the call returns. */
#ifndef TINY_POLLER_H
#define TINY_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

typedef struct tiny_poller tiny_poller;

/* Embed one in what owns the descriptor. */
typedef struct tiny_poll tiny_poll;
struct tiny_poll {
  int fd; /* -1 while it is not watched */
  /* Called at the top of a turn of the loop with EPOLL* bits. May remove any of them. */
  void (*on_event)(tiny_poll *poll, uint32_t events);
};

/* Returns NULL when memory or a descriptor could not be had. */
tiny_poller *tiny_poller_open(uv_loop_t *loop);

/* Watch 'fd' for EPOLL* bits, EPOLLET among them or not. Returns 0 or a negative UV code,
 * and then poll->fd is -1. */
int tiny_poll_add(tiny_poller *poller, tiny_poll *poll, int fd, uint32_t events);

/* Watch it for other bits; 0 is none. */
void tiny_poll_change(tiny_poller *poller, tiny_poll *poll, uint32_t events);

/* Watch it no longer: no event comes after this call. Leaves the descriptor open and
 * returns it; -1 when it was not watched. */
int tiny_poll_remove(tiny_poller *poller, tiny_poll *poll);

/* A buffer of TINY_POLLER_BUFFER bytes (NULL when out of memory), and its way back: one is kept for
 * whoever reads next, so that idle streams need none and busy ones no allocation. */
enum { TINY_POLLER_BUFFER = 64 * 1024 };
char *tiny_poller_borrow(tiny_poller *poller);
void tiny_poller_give_back(tiny_poller *poller, char *buffer);

/* Nothing may be watched any longer. Frees itself in the handle's close callback. */
void tiny_poller_close(tiny_poller *poller);

#endif
