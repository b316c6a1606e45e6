/* SPDX-License-Identifier: MIT
 * top_screen.h -- the terminal: its size, its keys, and pages drawn on it. */
#ifndef TINY_TOP_SCREEN_H
#define TINY_TOP_SCREEN_H

#include "top_page.h"
#include <stdbool.h>
#include <uv.h>

/* Keys that are no character. */
enum {
  TINY_KEY_ESCAPE = 27,
  TINY_KEY_UP = 256,
  TINY_KEY_DOWN,
  TINY_KEY_PAGE_UP,
  TINY_KEY_PAGE_DOWN,
  TINY_KEY_HOME,
  TINY_KEY_END
};

typedef struct tiny_screen {
  int columns, rows; /* as of the last drawing or resizing */
  void (*key)(struct tiny_screen *screen, int key);
  void (*resized)(struct tiny_screen *screen);
  void *data;

  uv_tty_t input;
  uv_timer_t pause; /* an escape that nothing follows is a key of its own */
  uv_signal_t resize;
  bool colours, has_input;
  char sequence[16]; /* of an escape sequence, as far as it has come */
  int length;
  char bytes[256];
} tiny_screen;

/* Take the terminal over: standard output must be one. Keys come from standard input where that is one
 * too. Set 'key', 'resized' and 'data' first. Returns 0 or a negative UV code. */
int tiny_screen_open(tiny_screen *screen, uv_loop_t *loop);

/* Show the page from its top line on; what does not fit is cut off. The last line is 'footer'. */
void tiny_screen_draw(tiny_screen *screen, const tiny_page *page, const char *footer);

/* Give the terminal back as it was. */
void tiny_screen_close(tiny_screen *screen);

#endif
