/* SPDX-License-Identifier: MIT
 * poller.c -- an epoll set of our own, watched by the loop through one handle. */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 256 };

struct tiny_poller {
  uv_poll_t poll;
  int epoll;
  struct epoll_event
      batch[BATCH]; /* under way: those from 'next' up to 'count' are still to be told */
  int next, count;
  char *spare; /* NULL while somebody has it */
};

/* What a full batch leaves behind keeps the set readable for the next turn. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  tiny_poller *p = poll->data;
  (void)status, (void)events;
  p->count = epoll_wait(p->epoll, p->batch, BATCH, 0);
  for (p->next = 0; p->next < p->count;) {
    struct epoll_event *event = &p->batch[p->next++];
    tiny_poll *polled = event->data.ptr;
    if (polled) polled->on_event(polled, event->events);
  }
  p->count = 0;
}

tiny_poller *tiny_poller_open(uv_loop_t *loop) {
  tiny_poller *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (p->epoll < 0 || uv_poll_init(loop, &p->poll, p->epoll) != 0) {
    if (p->epoll >= 0) close(p->epoll);
    free(p);
    return NULL;
  }
  p->poll.data = p;
  uv_poll_start(&p->poll, UV_READABLE, on_poll);
  return p;
}

int tiny_poll_add(tiny_poller *p, tiny_poll *polled, int fd, uint32_t events) {
  struct epoll_event event = {events, {.ptr = polled}};
  polled->fd = -1;
  if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) != 0) return -errno;
  polled->fd = fd;
  return 0;
}

void tiny_poll_change(tiny_poller *p, tiny_poll *polled, uint32_t events) {
  struct epoll_event event = {events, {.ptr = polled}};
  epoll_ctl(p->epoll, EPOLL_CTL_MOD, polled->fd, &event);
}

int tiny_poll_remove(tiny_poller *p, tiny_poll *polled) {
  int fd = polled->fd;
  if (fd < 0) return -1;
  epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
  polled->fd = -1;
  for (int i = p->next; i < p->count; i++)
    if (p->batch[i].data.ptr == polled) p->batch[i].data.ptr = NULL;
  return fd;
}

char *tiny_poller_borrow(tiny_poller *p) {
  char *buffer = p->spare ? p->spare : malloc(TINY_POLLER_BUFFER);
  p->spare = NULL;
  return buffer;
}

void tiny_poller_give_back(tiny_poller *p, char *buffer) {
  if (p->spare)
    free(buffer);
  else
    p->spare = buffer;
}

static void on_close(uv_handle_t *handle) {
  tiny_poller *p = handle->data;
  free(p->spare);
  close(p->epoll);
  free(p);
}

void tiny_poller_close(tiny_poller *p) { uv_close((uv_handle_t *)&p->poll, on_close); }
