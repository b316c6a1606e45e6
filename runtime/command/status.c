/* SPDX-License-Identifier: MIT
 * status.c -- tiny status: the server's info object, for people or as it is. */
#include "client.h"
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_S = 10 };

static const char *text(const json_t *info, const char *key) {
  return json_string_value(json_object_get(info, key));
}

static double number(const json_t *info, const char *key) {
  return json_number_value(json_object_get(info, key));
}

/* The first line only, and no control characters: texts of a server's own go to a terminal here. */
static void row(const char *name, const char *format, ...) {
  char line[512];
  va_list list;
  va_start(list, format);
  vsnprintf(line, sizeof line, format, list);
  va_end(list);
  line[strcspn(line, "\n")] = 0;
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
  printf("%-14s%s\n", name, line);
}

static void uptime_row(double seconds) {
  unsigned long s = (unsigned long)seconds, days = s / 86400;
  if (days > 0)
    row("uptime", "%lu d %02lu:%02lu:%02lu", days, s / 3600 % 24, s / 60 % 60, s % 60);
  else
    row("uptime", "%02lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

static void bytes_row(const char *name, double bytes) {
  if (bytes < 1e6)
    row(name, "%.1f kB", bytes / 1e3);
  else
    row(name, "%.1f MB", bytes / 1e6);
}

/* A text with its time, as far as there are such. */
static void event_row(const char *name, const json_t *info, const char *what, const char *when) {
  const char *said = text(info, what), *time = text(info, when);
  if (said && time)
    row(name, "%s  %s", time, said);
  else
    row(name, "%s", said ? said : "none");
}

/* The configuration that a cluster shares: which version counts, and why not the newest. */
static void show_shared(const json_t *shared) {
  const char *there = text(shared, "in_etcd"), *here = text(shared, "in_force"),
             *refused = text(shared, "refused");
  if (!json_is_object(shared)) return;
  row("shared conf", "%s in force, %s in etcd", here ? here : "none", there ? there : "none yet");
  if (refused) row("refused", "%s", refused);
}

static const char *known(const char *text) { return text ? text : "?"; }

/* Which of the cluster's members this one is, and who the others are. */
static void show_cluster(const json_t *info) {
  const char *role = text(info, "role");
  size_t i;
  json_t *member;
  if (!role) return;
  if (json_is_integer(json_object_get(info, "token")))
    row("role", "%s, token %.0f", role, number(info, "token"));
  else
    row("role", "%s", role);
  json_array_foreach(json_object_get(info, "members"), i, member) {
    row(i ? "" : "members", "%s on %s, pid %.0f: %s", known(text(member, "name")),
        known(text(member, "host")), number(member, "pid"), known(text(member, "role")));
  }
}

static void show_identity(const json_t *info) {
  row("name", "%s", text(info, "name") ? text(info, "name") : "not known yet");
  row("pid", "%.0f", number(info, "pid"));
  if (number(info, "hung_for") > 0)
    row("state", "hung for %.1f s", number(info, "hung_for"));
  else
    row("state", "%s", text(info, "state"));
  show_cluster(info);
  show_shared(json_object_get(info, "shared_conf"));
  uptime_row(number(info, "uptime"));
  row("generation", "%.0f, %.0f alive", number(info, "generation"),
      number(info, "generations_alive"));
}

static void show_draining(const json_t *info) {
  size_t i;
  json_t *one;
  json_array_foreach(json_object_get(info, "draining"), i, one) {
    row("draining", "generation %.0f: %.0f tasks (%.0f of requests), %.0f handles",
        number(one, "generation"), number(one, "tasks"), number(one, "requests"),
        number(one, "handles"));
  }
}

static void show_history(const json_t *info) {
  const char *reloaded = text(info, "last_reload_time");
  row("reloaded", "%s", reloaded ? reloaded : "never");
  event_row("last reload", info, "last_reload_result", "");
  event_row("last error", info, "last_error", "last_error_time");
  event_row("last summary", info, "last_summary", "last_summary_time");
}

static void show_counts(const json_t *info) {
  row("loop lag", "%.1f ms", number(info, "loop_lag_ms"));
  bytes_row("Lua heap", number(info, "lua_heap_bytes"));
  bytes_row("memory", number(info, "rss_bytes"));
  row("CPU", "%.1f s", number(info, "cpu_seconds"));
  row("timers", "%.0f", number(info, "timers"));
  row("tasks", "%.0f", number(info, "tasks"));
  row("connections", "%.0f", number(info, "connections"));
  row("log", "%.0f lines, %.0f dropped", number(info, "log_lines"), number(info, "log_dropped"));
  if (number(info, "threads_lost") > 0)
    row("threads lost", "%.0f, stuck in C while loading", number(info, "threads_lost"));
}

static void show(const json_t *info) {
  const char *stack = text(info, "hung_stack");
  show_identity(info);
  show_draining(info);
  show_history(info);
  show_counts(info);
  if (stack) printf("\n%s\n", stack);
}

static int print(const json_t *info, bool json) {
  const char *state = text(info, "state");
  if (json) {
    json_dumpf(info, stdout, JSON_REAL_PRECISION(15));
    putchar('\n');
  } else
    show(info);
  return state && strcmp(state, "hung") == 0 ? TINY_SAYS_HUNG : 0;
}

static int ask(const tiny_server *server, bool json) {
  json_t *answer = tiny_server_ask(server, json_pack("{s:s}", "do", "status"), ANSWER_S);
  int code = !answer && errno == EAGAIN ? TINY_SAYS_HUNG : 1;
  const json_t *info = json_object_get(answer, "info");
  if (info)
    code = print(info, json);
  else if (answer)
    fprintf(stderr, "%s\n", text(answer, "text"));
  json_decref(answer);
  return code;
}

static int status(tiny_arguments *arguments) {
  tiny_server server;
  bool json = tiny_arguments_flag(arguments, "--json");
  int wrong = tiny_arguments_done(arguments, 0, 0);
  if (wrong) return wrong;
  int found = tiny_server_find(arguments->conf, &server);
  if (found != 0) return found;
  int code = ask(&server, json);
  tiny_server_leave(&server);
  return code;
}

const tiny_command tiny_command_status = {
    .name = "status",
    .synopsis = "[-c conf.lua] [--json]",
    .summary = "Say how the running server is",
    .help = "--json prints the info object of the monitor feed. It answers while Lua is hung.\n"
            "Exit codes: 0 it runs, 2 it is hung, 3 no server runs.",
    .run = status,
};
