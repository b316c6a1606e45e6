/* SPDX-License-Identifier: MIT
 * session.h -- one TLS connection: a channel that a stream's bytes go through. */
#ifndef TINY_TLS_SESSION_H
#define TINY_TLS_SESSION_H

#include "tls.h"

#include <openssl/ssl.h>

/* Put a session between the stream and its channel; a server's unless 'client'. 'name' is whom
 * a client expects, NULL: anybody. Returns 0 or UV_ENOMEM. */
int session_begin(SSL_CTX *ctx, tiny_stream *stream, bool client, const char *name);

/* tiny_tls_table's. */
int session_shake(tiny_stream *stream);
const char *session_problem(const tiny_stream *stream);

#endif
