/* SPDX-License-Identifier: MIT
 * unix_address.h -- addresses of unix sockets, also where the path is too long for one. */
#ifndef TINY_UNIX_ADDRESS_H
#define TINY_UNIX_ADDRESS_H

#include <sys/un.h>

/* Fill 'address' for 'path'. A path of more than 107 bytes goes through an fd of its folder,
 * which is put into 'folder' (-1: none was needed) and stays open until the caller has
 * bound or connected. Returns 0, or -1 with errno set. */
int tiny_unix_address(const char *path, struct sockaddr_un *address, int *folder);

/* Make way for a socket at that path: one that nobody listens at any more is removed. Returns 0, also when
 * nothing is there; -EADDRINUSE when somebody listens, or something else than a socket is there. */
int tiny_unix_clear(const struct sockaddr_un *address);

#endif
