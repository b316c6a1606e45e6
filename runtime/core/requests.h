/* SPDX-License-Identifier: MIT
 * requests.h -- what clients of the control socket may ask for, and those who wait for
 * the loop thread's answer. Control thread only.
 *
 * A request is {"do": NAME, ...}, an answer {"ok": bool, "text": TEXT}:
 *   status                     {"ok": true, "info": {...}}, the feed's info object
 *   reload                     the outcome of the reload
 *   close                      once closed, with "forced"; not ok when it had to be
 *   loglevel level [sink]      the level put in force
 *   eval code [timeout]        results or the error; the timeout in seconds is 1
 *   stack                      what Lua does now, or what waits when it does nothing
 *   profile [seconds]          folded stacks of the next seconds, 5 by default */
#ifndef TINY_REQUESTS_H
#define TINY_REQUESTS_H

#include "control.h"
#include "control_socket.h"

typedef struct tiny_requests tiny_requests;

/* 'parts' and 'control' are borrowed. Before the thread has started. NULL when out of memory. */
tiny_requests *tiny_requests_open(tiny_control *control, const tiny_control_parts *parts);

/* A tiny_request_fn; 'requests' is a tiny_requests. */
void tiny_requests_take(void *requests, tiny_client *client, const json_t *request);

/* Tell those who wait for the closing how it went, and the others that it is over. */
void tiny_requests_closed(tiny_requests *requests, bool forced);

/* Close its handle. No answer of the loop thread may be owed any more. Free when the loop has
 * ended. */
void tiny_requests_close(tiny_requests *requests);
void tiny_requests_free(tiny_requests *requests); /* NULL is allowed */

/* Log and remember that a reload was refused since Lua hangs. */
void tiny_requests_refuse_reload(const tiny_control_parts *parts);

#endif
