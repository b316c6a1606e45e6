/* SPDX-License-Identifier: MIT
 * sink_console.c -- stderr or stdout, whatever they are connected to: a terminal, a
 * file, a pipe whose reader may be stopped. Never blocks, and never touches the flags
 * that other processes share with us. */
#include "log_text.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct console {
  int stream;     /* STDERR_FILENO or STDOUT_FILENO */
  mode_t type;    /* of what it is connected to, S_IFMT bits */
  bool may_block; /* a pipe or terminal that could not be had with O_NONBLOCK */
  bool colour;
} console;

static int wanted_stream(const tiny_log_settings *settings) {
  const tiny_conf *conf = settings->conf;
  const char *name = conf ? tiny_conf_string(conf, "log.console.stream") : NULL;
  return name && strcmp(name, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
}

static bool wants_colour(int stream) {
  const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
  return !(no && *no) && !(term && strcmp(term, "dumb") == 0) && isatty(stream);
}

/* Pipes and terminals are opened a second time: O_NONBLOCK is then ours alone. */
static int reopen(int stream) {
  const char *path = stream == STDOUT_FILENO ? "/proc/self/fd/1" : "/proc/self/fd/2";
  return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int dup_of(int stream) { return fcntl(stream, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); }

static int open_stream(tiny_sink *sink) {
  console *c = sink->own;
  struct stat st;
  if (fstat(c->stream, &st) != 0) return -ECANCELED; /* closed; who knows what gets its number */
  c->type = st.st_mode & S_IFMT;
  bool two = c->type == S_IFIFO || c->type == S_IFCHR;
  c->colour = wants_colour(c->stream);
  c->may_block = two && tiny_sink_take(sink, reopen(c->stream)) != 0;
  return two && !c->may_block ? 0 : tiny_sink_take(sink, dup_of(c->stream));
}

/* At once, so that a stream which a script closes later stays ours. One that is closed
 * already is never looked at again: its number may be anything's by then. */
static void settle(tiny_sink *sink, const tiny_log_settings *settings) {
  console *c = sink->own ? sink->own : calloc(1, sizeof *c);
  sink->own = c;
  if (!c) sink->on = false;
  if (!sink->on) return;
  if (c->stream != wanted_stream(settings)) {
    tiny_sink_shut(sink);
    sink->next_try_ns = 0;
  }
  c->stream = wanted_stream(settings);
  if (sink->fd < 0 && sink->next_try_ns != UINT64_MAX) open_stream(sink);
}

/* A pipe takes up to PIPE_BUF bytes as one piece, so lines of others do not cut ours. */
static size_t whole_lines(const char *bytes, size_t size) {
  if (size <= PIPE_BUF) return size;
  const char *last = memrchr(bytes, '\n', PIPE_BUF);
  return last ? (size_t)(last - bytes) + 1 : PIPE_BUF;
}

static ssize_t put(tiny_sink *sink, const char *bytes, size_t size) {
  const console *c = sink->own;
  struct pollfd p = {.fd = sink->fd, .events = POLLOUT};
  ssize_t n;
  if (c->type == S_IFIFO || c->may_block) size = whole_lines(bytes, size);
  if (c->may_block && poll(&p, 1, 0) == 0) return -EAGAIN;
  if (c->type == S_IFSOCK) {
    n = send(sink->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  } else {
    n = write(sink->fd, bytes, size);
  }
  return n < 0 ? -errno : n;
}

static char *line(tiny_sink *sink, tiny_clock *clock, const tiny_line *l, char *at, char *end) {
  static const char *const colours[TINY_LEVELS] = {"\033[2m", "", "\033[33m", "\033[31m"};
  const char *colour = colours[l->level];
  if (!((console *)sink->own)->colour || !*colour) {
    return tiny_format_write(sink->format, clock, l, at, end);
  }
  at = tiny_text_raw(at, end, colour, strlen(colour));
  at = tiny_format_write(sink->format, clock, l, at, end - 4);
  return tiny_text_raw(at, end, "\033[0m", 4);
}

const tiny_sink_type tiny_sink_console = {
    .mark = '\n', .settle = settle, .open = open_stream, .write = put, .line = line};
