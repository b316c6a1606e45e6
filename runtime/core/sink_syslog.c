/* SPDX-License-Identifier: MIT
 * sink_syslog.c -- datagrams to the syslog socket, as the daemon on this machine reads
 * them: "<PRI>Mmm dd HH:MM:SS tag[pid]: text". syslog(3) would wait for a daemon that
 * has stopped; this never does. */
#include "log_text.h"
#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DATAGRAM_MOST 8000 /* daemons read 8 KB */
#define CUT           "... [cut]"

typedef struct client {
  struct sockaddr_un address;
  int facility;  /* times 8 */
  char tag[100]; /* "name[pid]: " */
} client;

static int facility_number(const char *name) {
  static const char *const names[] = {
      "kern",   "user",   "mail",     "daemon", "auth",   "syslog",   "lpr",     "news",
      "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "security", "console", "solaris-cron",
      "local0", "local1", "local2",   "local3", "local4", "local5",   "local6",  "local7"};
  for (int i = 0; name && i < (int)(sizeof names / sizeof *names); i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  return 19; /* local3 */
}

int tiny_sink_syslog_check(const tiny_conf *conf, char *why, size_t why_size) {
  char *path = tiny_conf_path(conf, "log.syslog.address");
  bool fits = path && strlen(path) < sizeof((client *)0)->address.sun_path;
  if (!fits) snprintf(why, why_size, "log.syslog.address: \"%s\": too long", path ? path : "");
  free(path);
  return fits ? 0 : -1;
}

static void settle(tiny_sink *sink, const tiny_log_settings *settings) {
  client *c = sink->own ? sink->own : calloc(1, sizeof *c);
  char *path = sink->on ? tiny_conf_path(settings->conf, "log.syslog.address") : NULL;
  sink->own = c;
  if (!c || !path || strlen(path) >= sizeof c->address.sun_path) sink->on = false;
  if (sink->on) {
    if (strcmp(path, c->address.sun_path) != 0) tiny_sink_reopen(sink);
    c->address.sun_family = AF_UNIX;
    snprintf(c->address.sun_path, sizeof c->address.sun_path, "%s", path);
    c->facility = facility_number(tiny_conf_string(settings->conf, "log.syslog.facility")) * 8;
    snprintf(c->tag, sizeof c->tag, "%s[%ld]: ", tiny_conf_string(settings->conf, "svr.name"),
             (long)getpid());
  }
  free(path);
}

static int open_socket(tiny_sink *sink) {
  const client *c = sink->own;
  int error = tiny_sink_take(sink, socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (error) return error;
  if (connect(sink->fd, (const struct sockaddr *)&c->address, sizeof c->address) == 0) return 0;
  error = -errno;
  tiny_sink_shut(sink);
  return error;
}

static ssize_t send_once(tiny_sink *sink, const char *bytes, size_t size) {
  return send(sink->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool is_slow(ssize_t result) { return result == -EAGAIN || result == -ENOBUFS; }

/* One line. A daemon that was started again has another socket of the same name. */
static ssize_t put(tiny_sink *sink, const char *bytes, size_t size) {
  const char *mark = memchr(bytes, 0, size);
  size_t line = mark ? (size_t)(mark - bytes) : size;
  ssize_t result = send_once(sink, bytes, line);
  if (result != 0 && !is_slow(result)) {
    tiny_sink_shut(sink);
    result = open_socket(sink);
    if (result == 0) result = send_once(sink, bytes, line);
  }
  if (is_slow(result)) return -EAGAIN;
  return result != 0 ? result : (ssize_t)line + 1;
}

static char *head(const client *c, const tiny_clock *clock, tiny_level level, char *at, char *end) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  static const unsigned char severities[TINY_LEVELS] = {7, 6, 4, 3};
  at = tiny_text_raw(at, end, "<", 1);
  at = tiny_text_number(at, end, (unsigned)c->facility + severities[level], 1);
  at = tiny_text_raw(at, end, ">", 1);
  at = tiny_text_raw(at, end, months + (clock->month - 1) * 3, 3);
  at = tiny_text_raw(at, end, clock->day < 10 ? "  " : " ", clock->day < 10 ? 2 : 1);
  at = tiny_text_number(at, end, (unsigned)clock->day, 1);
  at = tiny_text_raw(at, end, " ", 1);
  at = tiny_text_raw(at, end, clock->time, 8);
  at = tiny_text_raw(at, end, " ", 1);
  return tiny_text_raw(at, end, c->tag, strlen(c->tag));
}

static char *line(tiny_sink *sink, tiny_clock *clock, const tiny_line *l, char *at, char *end) {
  char *start = at, *limit = end - at > DATAGRAM_MOST ? at + DATAGRAM_MOST : end;
  tiny_clock_set(clock, (int64_t)(l->time_ns / 1000000000));
  at = head(sink->own, clock, l->level, at, limit);
  at = tiny_format_write(sink->format, clock, l, at, limit);
  if (at < limit - 3 || limit == end) return at;
  at = start + tiny_text_cut(start, (size_t)(limit - start) - sizeof CUT);
  return tiny_text_raw(at, limit, CUT, sizeof CUT - 1);
}

const tiny_sink_type tiny_sink_syslog = {
    .mark = 0, .settle = settle, .open = open_socket, .write = put, .line = line};
