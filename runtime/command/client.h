/* SPDX-License-Identifier: MIT
 * client.h -- asking the running server of a conf.lua, which is not evaluated for it. */
#ifndef TINY_CLIENT_H
#define TINY_CLIENT_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct tiny_server {
  FILE *stream; /* its control socket */
  pid_t pid;    /* as the kernel says; 0 when it is in another pid namespace */
} tiny_server;

/* Connect to the server of the conf.lua at 'conf'. Returns 0, TINY_NOT_RUNNING, or 1 when there is
 * one that we may not ask; the reason has been said on stderr. */
int tiny_server_find(const char *conf, tiny_server *server);

/* Ask, and wait for the answer for so many seconds; 0: for ever. Takes the request's reference over.
 * Returns an object with "ok", or NULL when the reason has been said on stderr; errno is EAGAIN then
 * if the time ran out. */
json_t *tiny_server_ask(const tiny_server *server, json_t *request, int seconds);

void tiny_server_leave(tiny_server *server);

/* Find, ask, and print: an answer that is ok on stdout, others on stderr. Returns the exit code. */
int tiny_server_exchange(const char *conf, json_t *request, int seconds);

#endif
