/* SPDX-License-Identifier: MIT
 * mailer.h -- collects lines and mails them from a thread of its own, which is started
 * by the first line. All functions are for the log thread, none of them waits. */
#ifndef TINY_MAILER_H
#define TINY_MAILER_H

#include "log.h"

typedef struct tiny_mailer tiny_mailer;

/* 'wake' is called on the mailer's thread when there is something to tell. */
tiny_mailer *tiny_mailer_new(void (*wake)(void *data), void *data);

/* Use log.email.config, log.email.span and svr.name of 'conf' from the next mail on. */
void tiny_mailer_configure(tiny_mailer *mailer, tiny_conf *conf);

/* Add a line, which holds no NUL; 'subject' is the text for a mail's subject if it is the first. */
void tiny_mailer_add(tiny_mailer *mailer, const char *subject, size_t subject_size,
                     const char *line, size_t size);

/* What is to be told about the mailer's troubles, once each: copies it to 'text' and returns
 * true, or returns false. */
bool tiny_mailer_tell(tiny_mailer *mailer, tiny_level *level, char *text, size_t size);

/* The end is near: try now to mail what there is, until 'by_ns' of CLOCK_MONOTONIC. */
void tiny_mailer_hurry(tiny_mailer *mailer, uint64_t by_ns);
bool tiny_mailer_busy(tiny_mailer *mailer); /* that attempt is not over */

/* End the thread, what is being sent included, within a second. NULL is allowed. */
void tiny_mailer_free(tiny_mailer *mailer);

#endif
