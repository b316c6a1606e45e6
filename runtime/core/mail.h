/* SPDX-License-Identifier: MIT
 * mail.h -- one mail over SMTP: what the "mail" plugin offers, and what it is given. */
#ifndef TINY_MAIL_H
#define TINY_MAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct tiny_mail {
  const char *host;
  int port;
  const char *tls;             /* "starttls", "tls" or "none" */
  const char *from, *password; /* password NULL: no login */
  const char *const *targets;  /* ends with NULL */
  const char *text;            /* the whole message, headers and CRLF included */
  size_t size;
  unsigned timeout_ms;
  const _Atomic bool *stop; /* turning true ends the attempt within a second */
} tiny_mail;

typedef enum tiny_mail_result {
  TINY_MAIL_SENT,
  TINY_MAIL_LATER,  /* the connection or a 4xx answer: the next attempt may do */
  TINY_MAIL_REFUSED /* a 5xx answer */
} tiny_mail_result;

/* The plugin's table, the symbol "tiny_mail_plugin_table" of "mail". */
typedef struct tiny_mail_plugin {
  /* Blocks until the mail is sent or not; then the reason is in 'why'. Any thread. */
  tiny_mail_result (*send)(const tiny_mail *mail, char *why, size_t why_size);
} tiny_mail_plugin;

#endif
