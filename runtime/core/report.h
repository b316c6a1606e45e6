/* SPDX-License-Identifier: MIT
 * report.h -- text put together in a fixed buffer without any call that a signal
 * handler may not make. What does not fit is cut off. */
#ifndef TINY_REPORT_H
#define TINY_REPORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct tiny_report {
  char *text; /* borrowed; ends with NUL at all times */
  size_t size, used;
} tiny_report;

/* Begin an empty report in 'text', of at least one byte. */
tiny_report tiny_report_begin(char *text, size_t size);

/* Add to it. NULL adds nothing. Any thread, and signal handlers. */
void tiny_report_put(tiny_report *report, const char *text);
void tiny_report_number(tiny_report *report, int64_t number);
void tiny_report_hex(tiny_report *report, uintptr_t number); /* with its 0x */

#endif
