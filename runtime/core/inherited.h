/* SPDX-License-Identifier: MIT
 * inherited.h -- sockets that the service manager opened for us (socket activation). */
#ifndef TINY_INHERITED_H
#define TINY_INHERITED_H

typedef struct tiny_inherited tiny_inherited;

/* Take over what LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES tell, so that children see none of it.
 * Returns NULL when there is nothing. Before there are threads that look at the environment. */
tiny_inherited *tiny_inherited_open(void);

/* The descriptor of the first socket named 'name' (as in "fd:NAME"), still ours: use a dup() of it.
 * One without a name is "unknown", as systemd has it. -1: there is none. Any thread. */
int tiny_inherited_find(const tiny_inherited *inherited, const char *name);

/* Close them all and free. NULL is allowed. */
void tiny_inherited_close(tiny_inherited *inherited);

#endif
