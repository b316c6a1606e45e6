/* SPDX-License-Identifier: MIT
 * tls.h -- TLS over a stream, by OpenSSL: the plugin "tls" has the table. Everything on the
 * loop thread. */
#ifndef TINY_TLS_H
#define TINY_TLS_H

#include "stream.h"

/* What a side of a connection needs. Strings are only read by open(); NULL is "none". */
typedef struct tiny_tls_order {
  bool server;
  const char *cert, *key; /* PEM files; a server has both */
  const char *ca; /* PEM file of those to trust. A server asks for a certificate then; a client
                    * without one trusts whom the system trusts. */
  bool insecure;  /* a client that trusts anybody */
} tiny_tls_order;

typedef struct tiny_tls tiny_tls; /* certificates and whom to trust */

typedef struct tiny_tls_table {
  /* With one reference. NULL with the reason in 'why': blocks for as long as it reads the files. */
  tiny_tls *(*open)(const tiny_tls_order *order, char *why, size_t why_size);
  void (*free)(tiny_tls *tls);
  int (*wrap)(tiny_tls *tls, tiny_stream *stream, const char *name);
  int (*shake)(tiny_stream *stream);
  const char *(*problem)(const tiny_stream *stream);
} tiny_tls_table;

struct tiny_tls {
  const tiny_tls_table *table;
  unsigned refs;
};

#define TINY_TLS_SYMBOL "tiny_tls_functions"

/* One reference less; NULL is allowed. Streams that were wrapped do without it. */
static inline void tiny_tls_drop(tiny_tls *tls) {
  if (tls && --tls->refs == 0) tls->table->free(tls);
}

/* The stream speaks TLS from here on; its first read or write shakes hands. 'name' is whom a client
 * expects there: a DNS name or an IP address. Returns 0, or UV_ENOMEM. NULL wraps nothing. */
static inline int tiny_tls_wrap(tiny_tls *tls, tiny_stream *stream, const char *name) {
  return tls ? tls->table->wrap(tls, stream, name) : 0;
}

/* Shake hands: 0 once that is done, UV_EAGAIN, or why it failed; that in words. */
static inline int tiny_tls_shake(tiny_tls *tls, tiny_stream *stream) {
  return tls->table->shake(stream);
}
static inline const char *tiny_tls_problem(tiny_tls *tls, const tiny_stream *stream) {
  return tls->table->problem(stream);
}

#endif
