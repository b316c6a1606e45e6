/* SPDX-License-Identifier: MIT
 * listener.h -- unix sockets for ZeroMQ to accept on. libzmq's own have the mode that
 * the umask leaves, and take a path away from a server that listens there. */
#ifndef TINY_FEED_LISTENER_H
#define TINY_FEED_LISTENER_H

/* Listen at 'path' with mode 0600. What a dead server left there is replaced. Returns the fd, or
 * a negative errno: -EADDRINUSE when somebody listens there, or is just about to. */
int tiny_listener_open(const char *path);

#endif
