/* SPDX-License-Identifier: MIT
 * backtrace.h -- the C stack of a thread, named without locks and without memory. */
#ifndef TINY_BACKTRACE_H
#define TINY_BACKTRACE_H

#include "report.h"

/* Load what unwinding needs, so that later calls neither allocate nor lock. Once, any thread. */
void tiny_backtrace_prime(void);

/* Add the calling thread's C frames, a line each: "  #1 libc.so.6: nanosleep+0x12".
 * 'context' is a signal handler's third argument: frames begin where the signal hit.
 * In a signal handler, after tiny_backtrace_prime(). */
void tiny_backtrace_put(tiny_report *report, const void *context);

#endif
