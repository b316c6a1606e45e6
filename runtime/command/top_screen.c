/* SPDX-License-Identifier: MIT
 * top_screen.c -- ANSI sequences that all terminals in use understand. A frame is written at
 * once and over the one before, so that nothing flickers. */
#include "top_screen.h"

#include "top_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ESCAPE_MS = 50 };

static const char enter[] = "\x1b[?1049h\x1b[?25l"; /* the other screen, no cursor */
static const char leave[] = "\x1b[?25h\x1b[?1049l";

/* -- keys -------------------------------------------------------------------- */

static const struct {
  const char *sequence;
  int key;
} sequences[] = {
    {"[A", TINY_KEY_UP},   {"OA", TINY_KEY_UP},       {"[B", TINY_KEY_DOWN},
    {"OB", TINY_KEY_DOWN}, {"[5~", TINY_KEY_PAGE_UP}, {"[6~", TINY_KEY_PAGE_DOWN},
    {"[H", TINY_KEY_HOME}, {"OH", TINY_KEY_HOME},     {"[1~", TINY_KEY_HOME},
    {"[F", TINY_KEY_END},  {"OF", TINY_KEY_END},      {"[4~", TINY_KEY_END},
};

/* An unknown sequence is no key at all. */
static void end_sequence(tiny_screen *screen) {
  screen->sequence[screen->length] = 0;
  uv_timer_stop(&screen->pause);
  int length = screen->length;
  screen->length = 0;
  if (length == 1) screen->key(screen, TINY_KEY_ESCAPE);
  for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
    if (strcmp(screen->sequence + 1, sequences[i].sequence) == 0)
      screen->key(screen, sequences[i].key);
}

static void on_pause(uv_timer_t *timer) { end_sequence(timer->data); }

/* After the escape comes [ or O, then a sequence ends with its first letter or "~". */
static void take_byte(tiny_screen *screen, char byte) {
  if (screen->length == 0 && byte != TINY_KEY_ESCAPE) {
    screen->key(screen, (unsigned char)byte);
    return;
  }
  screen->sequence[screen->length++] = byte;
  bool introduces = screen->length == 2 && (byte == '[' || byte == 'O');
  bool ends = screen->length > 1 && !introduces && byte >= '@' && byte <= '~';
  if (ends || screen->length == sizeof screen->sequence - 1)
    end_sequence(screen);
  else
    uv_timer_start(&screen->pause, on_pause, ESCAPE_MS, 0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  tiny_screen *screen = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(screen->bytes, sizeof screen->bytes);
}

/* A terminal that has gone is the same as the key to quit. */
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
  tiny_screen *screen = stream->data;
  if (size < 0) screen->key(screen, 'q');
  for (ssize_t i = 0; i < size; i++) take_byte(screen, buffer->base[i]);
}

/* -- size and colours -------------------------------------------------------- */

static void measure(tiny_screen *screen) {
  struct winsize size = {0};
  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  screen->columns = size.ws_col ? size.ws_col : 80;
  screen->rows = size.ws_row ? size.ws_row : 24;
}

static void on_resize(uv_signal_t *signal, int number) {
  tiny_screen *screen = signal->data;
  (void)number;
  measure(screen);
  screen->resized(screen);
}

static bool has_colours(void) {
  const char *term = getenv("TERM"), *refused = getenv("NO_COLOR");
  return term && strcmp(term, "dumb") != 0 && strncmp(term, "vt", 2) != 0 && !(refused && *refused);
}

/* -- drawing ----------------------------------------------------------------- */

static void write_all(const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, size);
    if (written < 0 && errno != EINTR) return;
    if (written < 0) continue;
    bytes += written;
    size -= (size_t)written;
  }
}

/* Bold and reverse are for terminals without colours too. */
static void draw_line(const tiny_screen *screen, FILE *out, const tiny_page_line *line,
                      const char *end) {
  static const char *const colours[TINY_STYLES] = {[TINY_STYLE_QUIET] = "\x1b[36m",
                                                   [TINY_STYLE_WARN] = "\x1b[33m",
                                                   [TINY_STYLE_LOST] = "\x1b[35m",
                                                   [TINY_STYLE_ALARM] = "\x1b[1;31m"};
  const char *colour = screen->colours ? colours[line->style] : NULL;
  bool bold = line->style == TINY_STYLE_TITLE || line->style == TINY_STYLE_ALARM;
  char *fit = tiny_top_fit(line->text, screen->columns, line->chosen);
  fprintf(out, "%s%s%s%s\x1b[0m\x1b[K%s", bold ? "\x1b[1m" : "", colour ? colour : "",
          line->chosen ? "\x1b[7m" : "", fit ? fit : "", end);
  free(fit);
}

void tiny_screen_draw(tiny_screen *screen, const tiny_page *page, const char *footer) {
  char *frame = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&frame, &size);
  tiny_page_line last = {.text = (char *)footer, .style = TINY_STYLE_QUIET}, empty = {.text = ""};
  if (!out) return;
  fputs("\x1b[H", out);
  for (int row = 0; row < screen->rows - 1; row++)
    draw_line(screen, out, row < page->count ? &page->lines[row] : &empty, "\r\n");
  draw_line(screen, out, &last, "");
  fclose(out);
  write_all(frame, size);
  free(frame);
}

/* -- opening and closing ----------------------------------------------------- */

static int open_input(tiny_screen *screen, uv_loop_t *loop) {
  screen->has_input = uv_guess_handle(STDIN_FILENO) == UV_TTY;
  if (!screen->has_input) return 0;
  int rc = uv_tty_init(loop, &screen->input, STDIN_FILENO, 0);
  if (rc != 0) {
    screen->has_input = false;
    return rc;
  }
  screen->input.data = screen;
  uv_tty_set_mode(&screen->input, UV_TTY_MODE_RAW);
  return uv_read_start((uv_stream_t *)&screen->input, on_alloc, on_read);
}

int tiny_screen_open(tiny_screen *screen, uv_loop_t *loop) {
  uv_timer_init(loop, &screen->pause);
  uv_signal_init(loop, &screen->resize);
  screen->pause.data = screen->resize.data = screen;
  uv_signal_start(&screen->resize, on_resize, SIGWINCH);
  screen->colours = has_colours();
  measure(screen);
  int rc = open_input(screen, loop);
  if (rc == 0) write_all(enter, strlen(enter));
  return rc;
}

void tiny_screen_close(tiny_screen *screen) {
  write_all(leave, strlen(leave));
  uv_tty_reset_mode();
  uv_close((uv_handle_t *)&screen->pause, NULL);
  uv_close((uv_handle_t *)&screen->resize, NULL);
  if (screen->has_input) uv_close((uv_handle_t *)&screen->input, NULL);
}
