/* SPDX-License-Identifier: MIT
 * address.h -- addresses as users write them: "127.0.0.1:8080", "localhost:8080",
 * "[::1]:8080", "unix:path" ("unix:@name" is abstract) and "fd:NAME". */
#ifndef TINY_ADDRESS_H
#define TINY_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef enum tiny_address_kind {
  TINY_ADDRESS_IP,
  TINY_ADDRESS_UNIX,
  TINY_ADDRESS_FD
} tiny_address_kind;

typedef struct tiny_address {
  tiny_address_kind kind;
  char host[256]; /* a literal, a DNS name, a path or the NAME of a passed descriptor */
  uint16_t port;
} tiny_address;

/* Where a socket is bound or connected to. */
typedef struct tiny_endpoint {
  socklen_t size;
  union {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_un unix_path;
  };
} tiny_endpoint;

enum { TINY_ENDPOINT_TEXT = 128 }; /* room for the text of any endpoint */

/* Returns 0, or -1 with what is wrong with 'text' in 'why'. Looks nothing up. Any thread. */
int tiny_address_parse(const char *text, tiny_address *address, char *why, size_t why_size);

/* The endpoint of an address that needs no DNS: returns whether it is such a one. */
bool tiny_address_literal(const tiny_address *address, tiny_endpoint *endpoint);

/* As tiny_address_parse() reads it; "" for an unnamed unix socket. */
void tiny_endpoint_text(const tiny_endpoint *endpoint, char text[TINY_ENDPOINT_TEXT]);

bool tiny_endpoint_same(const tiny_endpoint *a, const tiny_endpoint *b);

#endif
