/* SPDX-License-Identifier: MIT
 * control_socket.h -- the clients of the control socket: one line of JSON each way, then
 * the end. Bounded in number, size and time; only the own user and root are heard. All on
 * the control thread, but for binding. */
#ifndef TINY_CONTROL_SOCKET_H
#define TINY_CONTROL_SOCKET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

typedef struct tiny_control_socket tiny_control_socket;

/* One who has asked. It lives until it is answered, even when the other end has gone. */
typedef struct tiny_client tiny_client;

/* Called with each request, a JSON object that lives during the call. The client is to be
 * answered once, now or later. */
typedef void (*tiny_request_fn)(void *data, tiny_client *client, const json_t *request);

/* Bind a socket of mode 0600 at 'path', in place of a socket that is there. Returns a non-blocking
 * fd, or -1 with the reason in 'why'. Any thread. */
int tiny_control_socket_bind(const char *path, char *why, size_t why_size);

/* Serve the bound 'fd', which is taken over. Returns NULL when that could not be done. */
tiny_control_socket *tiny_control_socket_open(uv_loop_t *loop, int fd, tiny_request_fn take,
                                              void *data);

/* Send {"ok": ok, "text": text} or 'answer', whose reference is taken over; then close. */
void tiny_client_tell(tiny_client *client, bool ok, const char *text);
void tiny_client_answer(tiny_client *client, json_t *answer);

/* Close the listener and the clients; what was just answered is still sent where it
 * can be without waiting. Free the rest with tiny_control_socket_free() when the loop has ended. */
void tiny_control_socket_close(tiny_control_socket *socket);
void tiny_control_socket_free(tiny_control_socket *socket); /* NULL is allowed */

#endif
