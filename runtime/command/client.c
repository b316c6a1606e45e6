/* SPDX-License-Identifier: MIT
 * client.c -- from conf.lua to an answer: the note beside it, the socket, one line each way. */
#include "client.h"

#include "command.h"
#include "note.h"
#include "unix_address.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_S = 10 };

static void limit(int fd, int option, int seconds) {
  struct timeval time = {.tv_sec = seconds};
  setsockopt(fd, SOL_SOCKET, option, &time, sizeof time);
}

/* Returns an fd or -1 with errno set. */
static int connect_to(const char *path) {
  struct sockaddr_un address;
  int folder;
  if (tiny_unix_address(path, &address, &folder) != 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  limit(fd, SO_SNDTIMEO, CONNECT_S);
  bool failed = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
  int error = errno;
  if (failed && fd >= 0) close(fd);
  if (folder >= 0) close(folder);
  errno = error;
  return failed ? -1 : fd;
}

static pid_t pid_of(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

/* Returns NULL with errno set. */
static FILE *open_note(const char *conf, int place) {
  tiny_note note;
  errno = 0;
  int fd = tiny_note_read(conf, place, &note) == 0 ? connect_to(note.socket) : -1;
  return fd >= 0 ? fdopen(fd, "r") : NULL;
}

/* A note or a socket without a process behind it says that none runs. */
int tiny_server_find(const char *conf, tiny_server *server) {
  int error = 0;
  for (int place = 0; place < TINY_NOTE_PLACES; place++) {
    server->stream = open_note(conf, place);
    if (server->stream) {
      server->pid = pid_of(fileno(server->stream));
      return 0;
    }
    if (errno != 0 && errno != ENOENT && errno != ENOTDIR && errno != ECONNREFUSED) error = errno;
  }
  if (error == 0)
    fprintf(stderr, "no server of %s runs\n", conf);
  else
    fprintf(stderr, "the server of %s cannot be asked: %s\n", conf, strerror(error));
  return error == 0 ? TINY_NOT_RUNNING : 1;
}

/* That it could not be sent shows in that no answer comes: or one does, which says why. */
static void send_line(int fd, char *text) {
  size_t length = strlen(text), sent = 0;
  text[length] = '\n'; /* in place of its end */
  while (sent <= length) {
    ssize_t bytes = send(fd, text + sent, length + 1 - sent, MSG_NOSIGNAL);
    if (bytes < 0 && errno != EINTR) return;
    if (bytes > 0) sent += (size_t)bytes;
  }
}

static json_t *read_answer(FILE *stream) {
  char *line = NULL;
  size_t size = 0;
  errno = 0;
  ssize_t length = getline(&line, &size, stream);
  int error = errno == EAGAIN ? EAGAIN : EPIPE;
  json_t *answer = length > 0 ? json_loadb(line, (size_t)length, 0, NULL) : NULL;
  free(line);
  errno = error;
  return answer;
}

/* Returns NULL with errno set. */
static json_t *ask(const tiny_server *server, json_t *request, int seconds) {
  char *text = json_dumps(request, JSON_COMPACT);
  json_decref(request);
  if (!text) {
    errno = EILSEQ;
    return NULL;
  }
  limit(fileno(server->stream), SO_RCVTIMEO, seconds);
  send_line(fileno(server->stream), text);
  free(text);
  return read_answer(server->stream);
}

static void explain(const tiny_server *server, int error) {
  if (error == EAGAIN)
    fprintf(stderr, "pid %ld does not answer: is it stopped?\n", (long)server->pid);
  else if (error == EPIPE)
    fprintf(stderr, "pid %ld has ended without an answer\n", (long)server->pid);
  else
    fprintf(stderr, "this is not UTF-8\n");
}

json_t *tiny_server_ask(const tiny_server *server, json_t *request, int seconds) {
  json_t *answer = ask(server, request, seconds);
  int error = errno;
  if (!answer) explain(server, error);
  errno = error;
  return answer;
}

void tiny_server_leave(tiny_server *server) { fclose(server->stream); }

/* Text that is empty or ends its last line itself is printed as it is. */
static void print(FILE *out, const char *text) {
  size_t length = strlen(text);
  fprintf(out, length == 0 || text[length - 1] == '\n' ? "%s" : "%s\n", text);
}

int tiny_server_exchange(const char *conf, json_t *request, int seconds) {
  tiny_server server;
  int code = tiny_server_find(conf, &server);
  if (code != 0) {
    json_decref(request);
    return code;
  }
  json_t *answer = tiny_server_ask(&server, request, seconds);
  bool ok = json_is_true(json_object_get(answer, "ok"));
  const char *text = json_string_value(json_object_get(answer, "text"));
  if (answer) print(ok ? stdout : stderr, text ? text : "");
  json_decref(answer);
  tiny_server_leave(&server);
  return ok ? 0 : 1;
}
