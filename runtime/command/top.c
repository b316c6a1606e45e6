/* SPDX-License-Identifier: MIT
 * top.c -- tiny top: many servers in a live table, or once for scripts. */
#include "command.h"
#include "plugin.h"
#include "subscriber.h"
#include "top_detail.h"
#include "top_screen.h"
#include "top_table.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  DRAW_MS = 500,
  WAIT_MS = 2000,     /* for --once and --json */
  ONCE_COLUMNS = 104, /* of a table that is not for a terminal */
  REASON = 256
};

typedef struct top top;

/* Where messages come from: it may carry more than one server. */
typedef struct source {
  top *top;
  const char *endpoint;
  bool heard;
} source;

struct top {
  uv_loop_t loop;
  const tiny_subscriber_table *table;
  tiny_subscriber *subscriber;
  source *sources;
  int source_count;
  tiny_top_list list;
  uv_timer_t timer; /* draws; ends the waiting of --once */
  uv_signal_t ends[3];
  bool once;

  tiny_screen screen;
  tiny_top_server *chosen; /* the line that keys are for; NULL: the first, whatever it is */
  bool looks;              /* into it, instead of at the table */
  int first;               /* line at the top, of the servers or of what is looked into */
  char sort_key;
  bool reversed;
};

/* -- messages ---------------------------------------------------------------- */

static tiny_top_server *add_server(top *t, const char *endpoint) {
  size_t size = (size_t)(t->list.count + 1) * sizeof *t->list.servers;
  tiny_top_server **servers = realloc(t->list.servers, size);
  tiny_top_server *server = servers ? tiny_top_server_new(endpoint) : NULL;
  if (servers) t->list.servers = servers;
  if (server) servers[t->list.count++] = server;
  return server;
}

/* The server of that name on that host, or the one of its endpoint that has not been heard yet. */
static tiny_top_server *find_server(top *t, const source *from, const char *topic,
                                    const json_t *host) {
  for (int i = 0; i < t->list.count; i++) {
    tiny_top_server *server = t->list.servers[i];
    if (server->endpoint != from->endpoint) continue;
    if (!server->topic) server->topic = strdup(topic);
    if (!server->topic) return NULL;
    const json_t *its_host = json_object_get(server->info, "host");
    if (strcmp(server->topic, topic) == 0 && (!its_host || json_equal(its_host, host)))
      return server;
  }
  tiny_top_server *server = add_server(t, from->endpoint);
  if (server) server->topic = strdup(topic);
  return server && server->topic ? server : NULL;
}

static void end_when_all_are_heard(top *t) {
  for (int i = 0; i < t->source_count; i++)
    if (!t->sources[i].heard) return;
  uv_stop(&t->loop);
}

static void on_message(void *data, const char *topic, const char *text, size_t size) {
  source *from = data;
  json_t *message = json_loadb(text, size, 0, NULL);
  json_t *info = json_object_get(message, "info"), *conf = json_object_get(message, "conf");
  tiny_top_server *server = json_is_object(info)
                                ? find_server(from->top, from, topic, json_object_get(info, "host"))
                                : NULL;
  if (server) {
    json_int_t seq = json_integer_value(json_object_get(message, "seq"));
    tiny_top_server_take(server, json_incref(info), json_incref(conf), (uint64_t)seq);
    from->heard = true;
    if (from->top->once) end_when_all_are_heard(from->top);
  }
  json_decref(message);
}

/* -- keys and drawing -------------------------------------------------------- */

static const char table_help[] =
    "up down  enter: look into  sort: n s l c h m u g e a o t, r: reverse  q: quit";
static const char detail_help[] = "up down  enter or esc: back  q: quit";

static int index_of(const top *t) {
  for (int i = 0; i < t->list.count; i++)
    if (t->list.servers[i] == t->chosen) return i;
  return 0;
}

static int clamp(int value, int most) {
  return value < 0 || most < 0 ? 0 : value > most ? most : value;
}

static void draw_table(top *t) {
  tiny_page page = {0};
  int rows = t->screen.rows - 3; /* title, head and footer */
  tiny_top_sort(&t->list, t->sort_key, t->reversed);
  int at = index_of(t);
  if (t->first > at) t->first = at;
  if (t->first < at - rows + 1) t->first = at - rows + 1;
  tiny_top_table(&page, &t->list, t->list.servers[at], t->first, rows, t->screen.columns);
  tiny_screen_draw(&t->screen, &page, table_help);
  tiny_page_clear(&page);
}

static void draw_detail(top *t) {
  tiny_page page = {0};
  tiny_top_detail(&page, t->chosen, t->screen.columns);
  t->first = clamp(t->first, page.count - (t->screen.rows - 1));
  tiny_page rest = {.lines = page.lines + t->first, .count = page.count - t->first};
  tiny_screen_draw(&t->screen, &rest, detail_help);
  tiny_page_clear(&page);
}

static void draw(top *t) {
  if (t->looks)
    draw_detail(t);
  else
    draw_table(t);
}

static void on_draw(uv_timer_t *timer) { draw(timer->data); }

static void on_resized(tiny_screen *screen) { draw(screen->data); }

static void move(top *t, int lines) {
  if (t->looks)
    t->first = t->first + lines > 0 ? t->first + lines : 0;
  else
    t->chosen = t->list.servers[clamp(index_of(t) + lines, t->list.count - 1)];
}

static void look(top *t, bool into) {
  t->chosen = t->list.servers[index_of(t)];
  t->looks = into;
  t->first = 0;
}

static void sort_by(top *t, char key) {
  t->reversed = t->sort_key == key && !t->reversed;
  t->sort_key = key;
}

static void on_key(tiny_screen *screen, int key) {
  top *t = screen->data;
  int page = screen->rows - 4;
  switch (key) {
  case 3: /* ctrl-c */
  case 'q': uv_stop(&t->loop); break;
  case 'k':
  case TINY_KEY_UP: move(t, -1); break;
  case 'j':
  case TINY_KEY_DOWN: move(t, 1); break;
  case TINY_KEY_PAGE_UP: move(t, -page); break;
  case ' ':
  case TINY_KEY_PAGE_DOWN: move(t, page); break;
  case TINY_KEY_HOME: move(t, -(1 << 20)); break;
  case TINY_KEY_END: move(t, 1 << 20); break;
  case '\r': look(t, !t->looks); break;
  case 127: /* backspace */
  case TINY_KEY_ESCAPE: look(t, false); break;
  case 'r': t->reversed = !t->reversed; break;
  default:
    if (key < 256 && tiny_top_is_sort_key((char)key)) sort_by(t, (char)key);
  }
  draw(t);
}

/* -- ways to run ------------------------------------------------------------- */

static void on_end(uv_signal_t *signal, int number) {
  (void)number;
  uv_stop(signal->loop);
}

static int watch(top *t) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  t->screen.key = on_key;
  t->screen.resized = on_resized;
  t->screen.data = t;
  for (int i = 0; i < 3; i++) uv_signal_start(&t->ends[i], on_end, numbers[i]);
  int rc = tiny_screen_open(&t->screen, &t->loop);
  uv_timer_start(&t->timer, on_draw, 0, DRAW_MS);
  if (rc == 0) uv_run(&t->loop, UV_RUN_DEFAULT);
  tiny_screen_close(&t->screen);
  if (rc != 0) fprintf(stderr, "tiny top: %s\n", uv_strerror(rc));
  return rc == 0 ? 0 : 1;
}

static void on_waited(uv_timer_t *timer) { uv_stop(timer->loop); }

static json_t *show(const tiny_top_server *server) {
  return json_pack("{s:s,s:s,s:f,s:I,s:O?,s:O?}", "endpoint", server->endpoint, "state",
                   tiny_top_server_state(server), "silent_for", tiny_top_server_silence(server),
                   "seq", (json_int_t)server->seq, "info", server->info, "conf", server->conf);
}

static void print_json(const top *t) {
  json_t *all = json_array();
  for (int i = 0; i < t->list.count; i++) json_array_append_new(all, show(t->list.servers[i]));
  json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
  putchar('\n');
  json_decref(all);
}

static void print_table(const top *t) {
  tiny_page page = {0};
  tiny_top_table(&page, &t->list, NULL, 0, t->list.count, ONCE_COLUMNS);
  tiny_page_print(&page, stdout);
  tiny_page_clear(&page);
}

static int print_once(top *t, bool json, double wait_s) {
  int code = 0;
  uv_timer_start(&t->timer, on_waited, (uint64_t)(wait_s * 1000), 0);
  uv_run(&t->loop, UV_RUN_DEFAULT);
  tiny_top_sort(&t->list, 'n', false);
  if (json)
    print_json(t);
  else
    print_table(t);
  for (int i = 0; i < t->source_count; i++) code |= !t->sources[i].heard;
  return code;
}

/* -- opening and closing ----------------------------------------------------- */

/* A certificate as zmq.auth makes them, with the server's public key added. */
static int read_curve(const char *path, tiny_curve *curve, char *why) {
  char line[256];
  FILE *file = fopen(path, "re");
  *curve = (tiny_curve){0};
  while (file && fgets(line, sizeof line, file)) {
    sscanf(line, " server-key = \"%40[^\"]\"", curve->server);
    sscanf(line, " public-key = \"%40[^\"]\"", curve->public);
    sscanf(line, " secret-key = \"%40[^\"]\"", curve->secret);
  }
  if (file) fclose(file);
  if (*curve->server && *curve->public && *curve->secret) return 0;
  if (file)
    snprintf(why, REASON, "%s: needs lines with server-key, public-key and secret-key = \"...\"",
             path);
  else
    snprintf(why, REASON, "%s: %s", path, strerror(errno));
  return -1;
}

static int subscribe(top *t, char **endpoints, const tiny_curve *curve, char *why) {
  t->table = tiny_plugin_table("feed", "tiny_feed_subscriber", why, REASON);
  t->subscriber = t->table ? t->table->open(&t->loop, t->source_count, why, REASON) : NULL;
  t->sources = calloc((size_t)t->source_count, sizeof *t->sources);
  if (!t->subscriber || !t->sources) return -1;
  for (int i = 0; i < t->source_count; i++) {
    t->sources[i] = (source){t, endpoints[i], false};
    if (!add_server(t, endpoints[i])) return -1;
    if (t->table->add(t->subscriber, endpoints[i], curve, on_message, &t->sources[i], why,
                      REASON) != 0)
      return -1;
  }
  return 0;
}

static void open_loop(top *t) {
  uv_loop_init(&t->loop);
  uv_timer_init(&t->loop, &t->timer);
  t->timer.data = t;
  for (int i = 0; i < 3; i++) uv_signal_init(&t->loop, &t->ends[i]);
}

static void close_all(top *t) {
  if (t->subscriber) t->table->close(t->subscriber);
  uv_close((uv_handle_t *)&t->timer, NULL);
  for (int i = 0; i < 3; i++) uv_close((uv_handle_t *)&t->ends[i], NULL);
  uv_run(&t->loop, UV_RUN_DEFAULT);
  uv_loop_close(&t->loop);
  for (int i = 0; i < t->list.count; i++) tiny_top_server_free(t->list.servers[i]);
  free(t->list.servers);
  free(t->sources);
}

/* -- the command ------------------------------------------------------------- */

static char *default_endpoints[] = {"tcp://127.0.0.1:5558"};

static int run(tiny_arguments *arguments) {
  top t = {.sort_key = 'n'};
  char why[REASON] = "not enough memory";
  tiny_curve curve;
  bool json = tiny_arguments_flag(arguments, "--json");
  t.once = tiny_arguments_flag(arguments, "--once") || json;
  const char *wait = tiny_arguments_value(arguments, "--wait");
  const char *keys = tiny_arguments_value(arguments, "--curve");
  char *end = NULL;
  double wait_s = wait ? strtod(wait, &end) : WAIT_MS / 1e3;
  int wrong = tiny_arguments_done(arguments, 0, arguments->count);
  if (wrong) return wrong;
  if (wait && (end == wait || *end || !(wait_s >= 0 && wait_s < 1e6)))
    return tiny_arguments_wrong(arguments, "--wait needs seconds: %s", wait);
  if (!t.once && !isatty(STDOUT_FILENO))
    return tiny_arguments_wrong(arguments, "standard output is no terminal: use --once or --json");
  if (keys && read_curve(keys, &curve, why) != 0) return tiny_arguments_wrong(arguments, "%s", why);
  setlocale(LC_CTYPE, "");
  char **endpoints = arguments->count ? arguments->list : default_endpoints;
  t.source_count = arguments->count ? arguments->count : 1;
  open_loop(&t);
  int code = subscribe(&t, endpoints, keys ? &curve : NULL, why);
  if (code != 0)
    fprintf(stderr, "tiny top: %s\n", why);
  else
    code = t.once ? print_once(&t, json, wait_s) : watch(&t);
  close_all(&t);
  return code == 0 ? 0 : 1;
}

const tiny_command tiny_command_top = {
    .name = "top",
    .synopsis = "[--once | --json] [--wait SECONDS] [--curve FILE] [ENDPOINT...]",
    .summary = "Watch one or many servers by their monitor feeds",
    .help =
        "An ENDPOINT is as in svr.monitor.host; without one it is tcp://127.0.0.1:5558.\n"
        "--once prints the table and --json all that is known, when each endpoint was heard or\n"
        "after --wait (2) seconds. --curve names a file with lines server-key = \"...\",\n"
        "public-key = \"...\" and secret-key = \"...\", for feeds with svr.monitor.curve.\n"
        "NO_COLOR in the environment: without colours.\n"
        "Exit codes: 0, or with --once and --json 1 when an endpoint was not heard.",
    .run = run,
};
