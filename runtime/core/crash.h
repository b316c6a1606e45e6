/* SPDX-License-Identifier: MIT
 * crash.h -- last words: when the process is about to die of SIGSEGV, SIGABRT, SIGBUS or SIGFPE,
 * say where, then let it die as it would have without us, core dump included. */
#ifndef TINY_CRASH_H
#define TINY_CRASH_H

#include "report.h"

typedef struct tiny_crash tiny_crash;

/* Who wants to be told. Both are called on the crashing thread, in its signal handler: with
 * async-signal-safe calls only, and bounded. */
typedef struct tiny_crash_parts {
  void (*describe)(void *data,
                   tiny_report *report); /* add lines of what was going on; may be NULL */
  void (*write)(void *data, const char *text, size_t size); /* twice: the cause, the C stack */
  void *data;
} tiny_crash_parts;

/* Catch these signals for as long as somebody wants to be told. 'parts' are copied. Returns NULL
 * when memory is short or too many are told already. Any thread. */
tiny_crash *tiny_crash_open(const tiny_crash_parts *parts);
void tiny_crash_close(tiny_crash *crash); /* NULL is allowed */

/* Give the calling thread a stack of its own for these signals, so that running out of stack is
 * told too; and take it away before the thread ends. Returns the stack, or NULL. */
void *tiny_crash_stack_open(void);
void tiny_crash_stack_close(void *stack); /* NULL is allowed */

#endif
