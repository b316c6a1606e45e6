/* SPDX-License-Identifier: MIT
 * control_socket.c -- accepting, reading one line, answering with one, closing. */
#include "control_socket.h"

#include "unix_address.h"
#include "utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  CLIENTS = 64, /* served at a time; more wait in the backlog */
  BACKLOG = 1024,
  REQUEST = 64 * 1024,    /* bytes a request may have, its line end included */
  ROOM = 1024,            /* bytes it is given at first */
  SILENCE_MS = 5000,      /* until a request must be there */
  SHORT_SILENCE_MS = 250, /* the same while others wait for a place */
  SENDING_MS = 5000       /* until an answer must have been taken */
};

struct tiny_client {
  uv_pipe_t pipe;
  uv_timer_t timer;
  uv_write_t write;
  int open; /* handles whose close callback is owed */
  tiny_control_socket *socket;
  tiny_client *next;
  char *request; /* what has come of it */
  size_t used, room;
  bool asked;   /* it is complete */
  char *answer; /* on its way */
};

struct tiny_control_socket {
  uv_pipe_t listener;
  tiny_request_fn take;
  void *data;
  tiny_client *clients; /* oldest first */
  int count;
  bool crowded; /* somebody waits for a place */
};

static int fail(int fd, const char *path, char *why, size_t why_size) {
  snprintf(why, why_size, "%s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return -1;
}

/* The mode is set before the file exists, so that there is no moment at which others may connect. */
int tiny_control_socket_bind(const char *path, char *why, size_t why_size) {
  struct sockaddr_un address;
  struct stat old;
  int folder, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || tiny_unix_address(path, &address, &folder) != 0)
    return fail(fd, path, why, why_size);
  if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode)) unlink(path);
  bool bound = fchmod(fd, 0600) == 0 &&
               bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
               listen(fd, BACKLOG) == 0;
  int error = errno;
  if (folder >= 0) close(folder);
  errno = error;
  return bound ? fd : fail(fd, path, why, why_size);
}

static void accept_waiting(tiny_control_socket *socket);

/* The second of two handles has closed: the client is gone, its place is free. */
static void on_closed(uv_handle_t *handle) {
  tiny_client *client = handle->data;
  tiny_control_socket *socket = client->socket;
  if (--client->open > 0) return;
  tiny_client **link = &socket->clients;
  while (*link != client) link = &(*link)->next;
  *link = client->next;
  socket->count--;
  free(client->request);
  free(client->answer);
  free(client);
  accept_waiting(socket);
}

static void retire(tiny_client *client) {
  if (uv_is_closing((uv_handle_t *)&client->pipe)) return;
  uv_close((uv_handle_t *)&client->pipe, on_closed);
  uv_close((uv_handle_t *)&client->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer) { retire(timer->data); }

static void on_written(uv_write_t *write, int status) {
  (void)status; /* whether it came or the other end is gone: it is over */
  retire(write->data);
}

void tiny_client_answer(tiny_client *client, json_t *answer) {
  client->answer = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
  json_decref(answer);
  if (!client->answer) {
    retire(client);
    return;
  }
  static char line_end[] = "\n";
  uv_buf_t parts[] = {uv_buf_init(client->answer, (unsigned)strlen(client->answer)),
                      uv_buf_init(line_end, 1)};
  client->write.data = client;
  uv_timer_start(&client->timer, on_timeout, SENDING_MS, 0);
  if (uv_write(&client->write, (uv_stream_t *)&client->pipe, parts, 2, on_written) != 0)
    retire(client);
}

void tiny_client_tell(tiny_client *client, bool ok, const char *text) {
  tiny_client_answer(client, json_pack("{s:b,s:o}", "ok", ok, "text", tiny_utf8_json(text)));
}

/* No more is read from a client that has asked: that it has gone shows when it is answered. */
static void end_of_request(tiny_client *client) {
  client->asked = true;
  uv_read_stop((uv_stream_t *)&client->pipe);
  uv_timer_stop(&client->timer);
}

static void take(tiny_client *client, size_t length) {
  json_t *request = json_loadb(client->request, length, 0, NULL);
  end_of_request(client);
  if (json_is_object(request))
    client->socket->take(client->socket->data, client, request);
  else
    tiny_client_tell(client, false, "this is not a request: one line with a JSON object is");
  json_decref(request);
}

static void refuse_length(tiny_client *client) {
  char text[80];
  snprintf(text, sizeof text, "the request is longer than %d bytes", REQUEST);
  end_of_request(client);
  tiny_client_tell(client, false, text);
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer) {
  tiny_client *client = stream->data;
  (void)buffer;
  if (bytes < 0) {
    retire(client);
    return;
  }
  char *fresh = client->request + client->used;
  char *end = memchr(fresh, '\n', (size_t)bytes);
  client->used += (size_t)bytes;
  if (end)
    take(client, (size_t)(end - client->request));
  else if (client->used == REQUEST)
    refuse_length(client);
}

/* Without memory the buffer stays empty and on_read gets UV_ENOBUFS. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  tiny_client *client = handle->data;
  (void)suggested;
  if (client->used == client->room) {
    size_t room = client->room ? client->room * 2 : ROOM;
    char *request = realloc(client->request, room);
    if (request) {
      client->request = request;
      client->room = room;
    }
  }
  *buffer = uv_buf_init(client->request + client->used, (unsigned)(client->room - client->used));
}

static bool is_allowed(const tiny_client *client) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  int fd;
  if (uv_fileno((const uv_handle_t *)&client->pipe, &fd) != 0) return false;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

static void greet(tiny_client *client) {
  if (is_allowed(client)) {
    uv_timer_start(&client->timer, on_timeout, SILENCE_MS, 0);
    uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read);
    return;
  }
  end_of_request(client);
  tiny_client_tell(client, false, "refused: only the server's own user and root are served");
}

static tiny_client *new_client(tiny_control_socket *socket) {
  tiny_client *client = calloc(1, sizeof *client), **link = &socket->clients;
  if (!client) return NULL;
  uv_pipe_init(socket->listener.loop, &client->pipe, 0);
  uv_timer_init(socket->listener.loop, &client->timer);
  client->pipe.data = client->timer.data = client;
  client->open = 2;
  client->socket = socket;
  while (*link) link = &(*link)->next;
  *link = client;
  socket->count++;
  return client;
}

/* Who has been silent for longest goes, but not before it had its chance to ask. */
static void make_room(tiny_control_socket *socket) {
  tiny_client *client = socket->clients;
  while (client && client->asked) client = client->next;
  if (!client) return;
  uint64_t left = uv_timer_get_due_in(&client->timer);
  uint64_t spared = SILENCE_MS - SHORT_SILENCE_MS;
  uv_timer_start(&client->timer, on_timeout, left > spared ? left - spared : 0, 0);
}

static void accept_waiting(tiny_control_socket *socket) {
  if (!socket->crowded || uv_is_closing((uv_handle_t *)&socket->listener)) return;
  if (socket->count >= CLIENTS) {
    make_room(socket);
    return;
  }
  tiny_client *client = new_client(socket);
  if (!client) return;
  socket->crowded = false;
  if (uv_accept((uv_stream_t *)&socket->listener, (uv_stream_t *)&client->pipe) == 0)
    greet(client);
  else
    retire(client);
}

/* libuv watches the listener again when we have accepted. */
static void on_connection(uv_stream_t *listener, int status) {
  tiny_control_socket *socket = listener->data;
  if (status != 0) return;
  socket->crowded = true;
  accept_waiting(socket);
}

static void on_abandoned(uv_handle_t *listener) { free(listener->data); }

tiny_control_socket *tiny_control_socket_open(uv_loop_t *loop, int fd, tiny_request_fn take_request,
                                              void *data) {
  tiny_control_socket *socket = calloc(1, sizeof *socket);
  if (!socket) {
    close(fd);
    return NULL;
  }
  uv_pipe_init(loop, &socket->listener, 0);
  socket->listener.data = socket;
  socket->take = take_request;
  socket->data = data;
  int opened = uv_pipe_open(&socket->listener, fd);
  if (opened == 0 && uv_listen((uv_stream_t *)&socket->listener, BACKLOG, on_connection) == 0)
    return socket;
  if (opened != 0) close(fd);
  uv_close((uv_handle_t *)&socket->listener, on_abandoned);
  return NULL;
}

void tiny_control_socket_close(tiny_control_socket *socket) {
  uv_close((uv_handle_t *)&socket->listener, NULL);
  for (tiny_client *client = socket->clients; client; client = client->next) retire(client);
}

void tiny_control_socket_free(tiny_control_socket *socket) { free(socket); }
