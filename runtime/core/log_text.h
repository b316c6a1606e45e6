/* SPDX-License-Identifier: MIT
 * log_text.h -- bytes of any origin made fit for a log line. Every function here
 * writes at 'at', never reaches 'end', returns where it stopped, and may be called
 * in a signal handler. */
#ifndef TINY_LOG_TEXT_H
#define TINY_LOG_TEXT_H

#include <stddef.h>

/* The bytes as they are. */
char *tiny_text_raw(char *at, char *end, const char *text, size_t size);

/* A message: printable UTF-8 and tabs as they are, a newline with its continuation
 * indented, trailing newlines dropped, all else as \r, \x1b or \u009b. */
char *tiny_text_message(char *at, char *end, const char *text, size_t size);

/* The inside of a JSON string. Bytes that are no UTF-8 become the text \xff. */
char *tiny_text_json(char *at, char *end, const char *text, size_t size);

/* JSON text, made one line of UTF-8 where it is not. */
char *tiny_text_mended(char *at, char *end, const char *json, size_t size);

/* A number in decimal with at least 'digits' digits; whole or not at all. */
char *tiny_text_number(char *at, char *end, unsigned long long number, int digits);

/* How many bytes 'size' bytes take at most, by any of the above. */
size_t tiny_text_most(size_t size);

/* The longest part of at most 'size' bytes that does not end within a character. */
size_t tiny_text_cut(const char *text, size_t size);

#endif
