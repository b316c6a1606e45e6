/* SPDX-License-Identifier: MIT
 * session.c -- OpenSSL between a stream and its socket. It reads and writes the socket through the
 * stream's own channel, so that what is kept there (drained, no SIGPIPE) stays true. */
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 16 * 1024 };

typedef struct session {
  SSL *ssl;
  const tiny_channel *below;
  int failed; /* why it cannot go on, a negative UV code; 0 */
  int broken; /* what the socket said of that */
  char problem[160];
} session;

/* -- the socket, as OpenSSL sees it ---------------------------------------- */

static int bio_done(BIO *bio, ssize_t n, void (*retry)(BIO *)) {
  tiny_stream *s = BIO_get_data(bio);
  session *t = s->channel_data;
  BIO_clear_retry_flags(bio);
  if (n == UV_EAGAIN)
    retry(bio);
  else if (n <= 0)
    t->broken = n < 0 ? (int)n : UV_ECONNRESET; /* an end that nobody announced */
  return n > 0 ? (int)n : n < 0 ? -1 : 0;
}

static void retry_read(BIO *bio) { BIO_set_retry_read(bio); }

static void retry_write(BIO *bio) { BIO_set_retry_write(bio); }

static int bio_read(BIO *bio, char *data, int size) {
  tiny_stream *s = BIO_get_data(bio);
  session *t = s->channel_data;
  return bio_done(bio, t->below->read(s, data, (size_t)size), retry_read);
}

static int bio_write(BIO *bio, const char *data, int size) {
  tiny_stream *s = BIO_get_data(bio);
  session *t = s->channel_data;
  return bio_done(bio, t->below->write(s, data, (size_t)size), retry_write);
}

static long bio_control(BIO *bio, int what, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return what == BIO_CTRL_FLUSH; /* nothing is kept back */
}

static BIO_METHOD *method;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tiny stream");
  if (!method) return;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
}

/* Several runtimes of a process may come here at once. */
static BIO *open_bio(tiny_stream *s) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_method);
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) return NULL;
  BIO_set_data(bio, s);
  BIO_set_init(bio, 1);
  return bio;
}

/* -- what OpenSSL says ----------------------------------------------------- */

static void note_problem(session *t) {
  unsigned long error = ERR_peek_error();
  const char *text = ERR_reason_error_string(error);
  if (t->broken) text = uv_strerror(t->broken);
  if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
    text = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
  snprintf(t->problem, sizeof t->problem, "%s", text ? text : "TLS failed");
}

/* Returns UV_EAGAIN, 0 for the end, or why it cannot go on. */
static int explain(tiny_stream *s, int result) {
  session *t = s->channel_data;
  switch (SSL_get_error(t->ssl, result)) {
  case SSL_ERROR_WANT_READ: return UV_EAGAIN;
  case SSL_ERROR_WANT_WRITE: s->drained = false; return UV_EAGAIN;
  case SSL_ERROR_ZERO_RETURN: return 0;
  default: break;
  }
  note_problem(t);
  t->failed = t->broken ? t->broken : UV_EPROTO;
  ERR_clear_error();
  return t->failed;
}

/* -- the channel ----------------------------------------------------------- */

/* What OpenSSL has read ahead is no event of the socket's. */
static void note_pending(tiny_stream *s) {
  if (SSL_has_pending(((session *)s->channel_data)->ssl)) s->drained = false;
}

static ssize_t session_read(tiny_stream *s, void *data, size_t size) {
  session *t = s->channel_data;
  size_t n;
  if (t->failed) return t->failed;
  ERR_clear_error();
  int result = SSL_read_ex(t->ssl, data, size, &n);
  if (result <= 0) return explain(s, result);
  note_pending(s);
  return (ssize_t)n;
}

/* A record that went out in part is 'held': the same bytes have to come again. */
static ssize_t session_write(tiny_stream *s, const void *data, size_t size) {
  session *t = s->channel_data;
  size_t n;
  if (t->failed) return t->failed;
  ERR_clear_error();
  int result = SSL_write_ex(t->ssl, data, size, &n);
  s->held = result <= 0 && SSL_want_write(t->ssl) && SSL_is_init_finished(t->ssl);
  note_pending(s); /* it may have shaken hands */
  if (result > 0) return (ssize_t)n;
  int rc = explain(s, result);
  return rc == 0 ? UV_EPIPE : rc;
}

static ssize_t session_send_file(tiny_stream *s, int file, off_t *at, size_t size) {
  char piece[RECORD];
  ssize_t n = pread(file, piece, size < sizeof piece ? size : sizeof piece, *at);
  if (n <= 0) return n < 0 ? -errno : 0;
  n = session_write(s, piece, (size_t)n);
  if (n > 0) *at += n;
  return n;
}

static int session_finish(tiny_stream *s) {
  session *t = s->channel_data;
  if (t->failed) return t->failed;
  ERR_clear_error();
  int result = SSL_is_init_finished(t->ssl) ? SSL_shutdown(t->ssl) : 0;
  if (result < 0 && SSL_want_write(t->ssl)) return UV_EAGAIN;
  return t->below->finish(s);
}

/* One that was cut short has no proper end: its peer has to see that. */
static void session_free(tiny_stream *s) {
  session *t = s->channel_data;
  bool sound = !t->failed && !s->broken && !s->held && SSL_is_init_finished(t->ssl);
  if (sound && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)) SSL_shutdown(t->ssl);
  ERR_clear_error();
  SSL_free(t->ssl); /* the bio too */
  t->below->free(s);
  free(t);
}

static const tiny_channel channel = {session_read, session_write, session_send_file, session_finish,
                                     session_free};

/* -- beginning ------------------------------------------------------------- */

static int expect_name(SSL *ssl, const char *name) {
  struct in6_addr ip;
  if (inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

static SSL *open_ssl(SSL_CTX *ctx, tiny_stream *s, bool client, const char *name) {
  SSL *ssl = SSL_new(ctx);
  BIO *bio = ssl ? open_bio(s) : NULL;
  if (!bio || (name && !expect_name(ssl, name))) {
    BIO_free(bio);
    SSL_free(ssl);
    return NULL;
  }
  SSL_set_bio(ssl, bio, bio);
  if (client)
    SSL_set_connect_state(ssl);
  else
    SSL_set_accept_state(ssl);
  return ssl;
}

int session_begin(SSL_CTX *ctx, tiny_stream *s, bool client, const char *name) {
  session *t = calloc(1, sizeof *t);
  if (!t) return UV_ENOMEM;
  t->ssl = open_ssl(ctx, s, client, name);
  if (!t->ssl) {
    ERR_clear_error();
    free(t);
    return UV_ENOMEM;
  }
  t->below = s->channel;
  s->channel = &channel;
  s->channel_data = t;
  return 0;
}

int session_shake(tiny_stream *s) {
  session *t = s->channel_data;
  if (t->failed) return t->failed;
  ERR_clear_error();
  int result = SSL_do_handshake(t->ssl);
  note_pending(s);
  if (result > 0) return 0;
  int rc = explain(s, result);
  return rc == 0 ? UV_ECONNRESET : rc;
}

const char *session_problem(const tiny_stream *s) { return ((session *)s->channel_data)->problem; }
