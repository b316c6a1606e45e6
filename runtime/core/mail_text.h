/* SPDX-License-Identifier: MIT
 * mail_text.h -- a mail's headers and body, ready for SMTP. */
#ifndef TINY_MAIL_TEXT_H
#define TINY_MAIL_TEXT_H

#include <stddef.h>

/* A message of UTF-8 text without control characters in 'subject'; 'targets' ends with
 * NULL. The caller frees it; '*size' is its length. NULL when out of memory. */
char *tiny_mail_text(const char *from, const char *const *targets, const char *subject,
                     const char *body, size_t body_size, size_t *size);

#endif
