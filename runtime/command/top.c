/* SPDX-License-Identifier: MIT
 * top.c -- tiny top: many servers in a live table, or once for scripts. */
#include "command.h"
#include "top_detail.h"
#include "top_feeds.h"
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

typedef struct top {
  uv_loop_t loop;
  tiny_top_feeds feeds;
  uv_timer_t timer; /* draws; ends the waiting of --once */
  uv_signal_t ends[3];

  tiny_screen screen;
  tiny_top_server *chosen; /* the line that keys are for; NULL: the first, whatever it is */
  bool looks;              /* into it, instead of at the table */
  int first;               /* line at the top, of the servers or of what is looked into */
  char sort_key;
  bool reversed;
} top;

/* -- keys and drawing -------------------------------------------------------- */

static const char table_help[] =
    "up down  enter: look into  sort: n s l c h m u g e a o t, r: reverse  q: quit";
static const char detail_help[] = "up down  enter or esc: back  q: quit";

static int index_of(const top *t) {
  for (int i = 0; i < t->feeds.list.count; i++)
    if (t->feeds.list.servers[i] == t->chosen) return i;
  return 0;
}

static int clamp(int value, int most) {
  return value < 0 || most < 0 ? 0 : value > most ? most : value;
}

static void draw_table(top *t) {
  tiny_page page = {0};
  int rows = t->screen.rows - 3; /* title, head and footer */
  tiny_top_sort(&t->feeds.list, t->sort_key, t->reversed);
  int at = index_of(t);
  if (t->first > at) t->first = at;
  if (t->first < at - rows + 1) t->first = at - rows + 1;
  tiny_top_table(&page, &t->feeds.list, t->feeds.list.servers[at], t->first, rows,
                 t->screen.columns);
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
    t->chosen = t->feeds.list.servers[clamp(index_of(t) + lines, t->feeds.list.count - 1)];
}

static void look(top *t, bool into) {
  t->chosen = t->feeds.list.servers[index_of(t)];
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
  for (int i = 0; i < t->feeds.list.count; i++)
    json_array_append_new(all, show(t->feeds.list.servers[i]));
  json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
  putchar('\n');
  json_decref(all);
}

static void print_table(const top *t) {
  tiny_page page = {0};
  tiny_top_table(&page, &t->feeds.list, NULL, 0, t->feeds.list.count, ONCE_COLUMNS);
  tiny_page_print(&page, stdout);
  tiny_page_clear(&page);
}

static void on_heard(void *data) {
  top *t = data;
  if (tiny_top_feeds_complete(&t->feeds)) uv_stop(&t->loop);
}

static int print_once(top *t, bool json, double wait_s) {
  t->feeds.heard = on_heard;
  t->feeds.data = t;
  uv_timer_start(&t->timer, on_waited, (uint64_t)(wait_s * 1000), 0);
  uv_run(&t->loop, UV_RUN_DEFAULT);
  tiny_top_sort(&t->feeds.list, 'n', false);
  if (json)
    print_json(t);
  else
    print_table(t);
  return tiny_top_feeds_complete(&t->feeds) ? 0 : 1;
}

/* -- opening and closing ----------------------------------------------------- */

static void open_loop(top *t) {
  uv_loop_init(&t->loop);
  uv_timer_init(&t->loop, &t->timer);
  t->timer.data = t;
  for (int i = 0; i < 3; i++) uv_signal_init(&t->loop, &t->ends[i]);
}

static void close_all(top *t) {
  tiny_top_feeds_close(&t->feeds);
  uv_close((uv_handle_t *)&t->timer, NULL);
  for (int i = 0; i < 3; i++) uv_close((uv_handle_t *)&t->ends[i], NULL);
  uv_run(&t->loop, UV_RUN_DEFAULT);
  uv_loop_close(&t->loop);
}

/* -- the command ------------------------------------------------------------- */

typedef struct settings {
  bool once, json, has_curve;
  double wait_s;
  tiny_curve curve;
} settings;

static int take_wait(tiny_arguments *arguments, settings *of) {
  const char *wait = tiny_arguments_value(arguments, "--wait");
  char *end = NULL;
  of->wait_s = wait ? strtod(wait, &end) : WAIT_MS / 1e3;
  if (!wait || (end != wait && !*end && of->wait_s >= 0 && of->wait_s < 1e6)) return 0;
  return tiny_arguments_wrong(arguments, "--wait needs seconds: %s", wait);
}

static int take_curve(tiny_arguments *arguments, settings *of) {
  char why[REASON];
  const char *path = tiny_arguments_value(arguments, "--curve");
  of->has_curve = path != NULL;
  if (!path || tiny_top_curve_read(&of->curve, path, why, sizeof why) == 0) return 0;
  return tiny_arguments_wrong(arguments, "%s", why);
}

/* Returns 0, or the exit code when it has been said what is wrong. */
static int take_settings(tiny_arguments *arguments, settings *of) {
  of->json = tiny_arguments_flag(arguments, "--json");
  of->once = tiny_arguments_flag(arguments, "--once") || of->json;
  int wrong = take_wait(arguments, of);
  if (!wrong) wrong = take_curve(arguments, of);
  if (!wrong) wrong = tiny_arguments_done(arguments, 0, arguments->count);
  if (!wrong && !of->once && !isatty(STDOUT_FILENO))
    wrong = tiny_arguments_wrong(arguments, "this is no terminal: use --once or --json");
  return wrong;
}

static int run(tiny_arguments *arguments) {
  static char *usual[] = {"tcp://127.0.0.1:5558"};
  top t = {.sort_key = 'n'};
  settings of;
  char why[REASON];
  int code = take_settings(arguments, &of);
  if (code != 0) return code;
  setlocale(LC_CTYPE, "");
  open_loop(&t);
  code = tiny_top_feeds_open(&t.feeds, &t.loop, arguments->count ? arguments->list : usual,
                             arguments->count ? arguments->count : 1,
                             of.has_curve ? &of.curve : NULL, why, sizeof why);
  if (code != 0)
    fprintf(stderr, "tiny top: %s\n", why);
  else
    code = of.once ? print_once(&t, of.json, of.wait_s) : watch(&t);
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
