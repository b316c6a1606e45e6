/* SPDX-License-Identifier: MIT
 * server.h -- clients and their lines: "GET key", "SET key value", "DEL key", one answer each. */
#ifndef SERVER_H
#define SERVER_H

#include "store.h"
#include <tiny.h>

typedef struct server server;

/* Listen on a port of 127.0.0.1 (0: any) with the caller's epoll descriptor. NULL with errno set. */
server *server_open(int epoll_fd, int port, store *s, tiny *runtime);
void server_close(server *s);

int server_port(const server *s);

/* An event with this pointer came: a client's, or for the server itself a new one. */
void server_on_event(server *s, void *whose);

/* Go on with lines that had to wait while no policy was in force. */
void server_retry(server *s);

#endif
