/* SPDX-License-Identifier: MIT
 * backtrace.h -- the C stack of a thread, out of a signal handler. */
#ifndef TINY_BACKTRACE_H
#define TINY_BACKTRACE_H

#include "report.h"

/* Load what unwinding needs. Once, any thread. */
void tiny_backtrace_prime(void);

/* Add the calling thread's C frames, a line each: "  #1 libc.so.6: nanosleep+0x12".
 * 'context' is a signal handler's third argument: frames begin where the signal hit.
 * For tiny_apart_tell(), after tiny_backtrace_prime(): the unwinder takes memory when Lua was
 * compiled since it last ran, so where the signal hit malloc() it waits for ever. */
void tiny_backtrace_put(tiny_report *report, const void *context);

#endif
