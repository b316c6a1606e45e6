/* SPDX-License-Identifier: MIT
 * notify.h -- telling the service manager how we are, by sd_notify's protocol. */
#ifndef TINY_NOTIFY_H
#define TINY_NOTIFY_H

#include <stdint.h>

typedef struct tiny_notify tiny_notify;

/* Take over NOTIFY_SOCKET and WATCHDOG_USEC, so that children do not see them. Returns NULL when
 * nobody wants to be told: the functions below do nothing then. Before there are threads that
 * look at the environment. */
tiny_notify *tiny_notify_open(void);
void tiny_notify_close(tiny_notify *notify);

/* How often it wants to hear tiny_notify_alive(), in ns; 0: not at all. */
uint64_t tiny_notify_watchdog_ns(const tiny_notify *notify);

/* Each sends one datagram and never waits or fails visibly. Any thread. 'status' is one line for
 * people; NULL leaves the last one. */
void tiny_notify_ready(tiny_notify *notify,
                       const char *status); /* also after a reload, refused or not */
void tiny_notify_reloading(tiny_notify *notify);
void tiny_notify_stopping(tiny_notify *notify, const char *status);
void tiny_notify_status(tiny_notify *notify, const char *status);
void tiny_notify_alive(tiny_notify *notify);
void tiny_notify_extend(tiny_notify *notify,
                        uint64_t ms); /* starting or stopping takes that much longer */

#endif
