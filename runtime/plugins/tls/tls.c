/* SPDX-License-Identifier: MIT
 * tls.c -- the "tls" plugin: certificates, keys and whom to trust. */
#include "tls.h"
#include "session.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct context {
  tiny_tls base; /* first */
  SSL_CTX *ctx;
  bool client;
} context;

/* Nobody is asked for a password: a key that has one cannot be read. */
static int no_password(char *to, int size, int writing, void *data) {
  (void)to, (void)size, (void)writing, (void)data;
  return -1;
}

/* -- files ----------------------------------------------------------------- */

typedef struct loading {
  SSL_CTX *ctx;
  char *why;
  size_t why_size;
} loading;

/* The first error is the one that the others follow from. */
static bool loaded(const loading *l, const char *file, int result) {
  if (result == 1) return true;
  unsigned long error = ERR_peek_error();
  const char *reason =
      ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
  snprintf(l->why, l->why_size, "%s: %s", file, reason ? reason : "it cannot be used");
  return false;
}

static bool load_own(const loading *l, const tiny_tls_order *o) {
  if (o->cert && !loaded(l, o->cert, SSL_CTX_use_certificate_chain_file(l->ctx, o->cert)))
    return false;
  return !o->key ||
         loaded(l, o->key, SSL_CTX_use_PrivateKey_file(l->ctx, o->key, SSL_FILETYPE_PEM));
}

/* Clients choose among their certificates by the names that a server sends. */
static bool load_trusted(const loading *l, const tiny_tls_order *o) {
  if (o->ca && !loaded(l, o->ca, SSL_CTX_load_verify_file(l->ctx, o->ca))) return false;
  if (o->ca && o->server) SSL_CTX_set_client_CA_list(l->ctx, SSL_load_client_CA_file(o->ca));
  if (o->ca || o->server || o->insecure) return true;
  return loaded(l, "the system's certificates", SSL_CTX_set_default_verify_paths(l->ctx));
}

/* -- settings -------------------------------------------------------------- */

static void set_verify(SSL_CTX *ctx, const tiny_tls_order *o) {
  int mode = SSL_VERIFY_NONE;
  if (o->server && o->ca) mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  if (!o->server && !o->insecure) mode = SSL_VERIFY_PEER;
  SSL_CTX_set_verify(ctx, mode, NULL);
}

/* Buffers go while a connection idles; what is written may come from elsewhere when it is tried again. Tickets
 * resume sessions without a word of them being kept here. */
static void set_modes(SSL_CTX *ctx) {
  static const unsigned char id[] = "tiny";
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_default_passwd_cb(ctx, no_password);
}

extern const tiny_tls_table tiny_tls_functions;

/* -- life ------------------------------------------------------------------ */

static void free_tls(tiny_tls *tls) {
  context *c = (context *)tls;
  SSL_CTX_free(c->ctx);
  free(c);
}

static int wrap(tiny_tls *tls, tiny_stream *stream, const char *name) {
  context *c = (context *)tls;
  return session_begin(c->ctx, stream, c->client, name);
}

static tiny_tls *open_tls(const tiny_tls_order *o, char *why, size_t why_size) {
  context *c = calloc(1, sizeof *c);
  SSL_CTX *ctx = c ? SSL_CTX_new(o->server ? TLS_server_method() : TLS_client_method()) : NULL;
  loading l = {ctx, why, why_size};
  snprintf(why, why_size, "not enough memory");
  if (ctx) {
    *c = (context){{&tiny_tls_functions, 1}, ctx, !o->server};
    set_modes(ctx);
    set_verify(ctx, o);
    if (load_own(&l, o) && load_trusted(&l, o)) return &c->base;
  }
  ERR_clear_error();
  SSL_CTX_free(ctx);
  free(c);
  return NULL;
}

__attribute__((visibility("default"))) const tiny_tls_table tiny_tls_functions = {
    open_tls, free_tls, wrap, session_shake, session_problem};
