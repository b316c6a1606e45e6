/* SPDX-License-Identifier: MIT
 * flame.c -- a tree of frames, drawn as boxes: width is time, what calls is below what it calls. */
#include "flame.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1200, ROW = 17, MARGIN = 40, LETTER = 7 };

typedef struct frame {
  const char *name;
  unsigned long samples;
  struct frame *first, *next; /* callees, and the next callee of its caller */
} frame;

static frame *callee(frame *caller, const char *name) {
  frame *f = caller->first;
  while (f && strcmp(f->name, name) != 0) f = f->next;
  if (f || !(f = calloc(1, sizeof *f))) return f;
  f->name = name;
  f->next = caller->first;
  return caller->first = f;
}

static void add_line(frame *root, char *line) {
  char *count = strrchr(line, ' ');
  if (!count) return;
  *count++ = 0;
  unsigned long samples = strtoul(count, NULL, 10);
  char *rest = line;
  root->samples += samples;
  for (frame *f = root; rest && f;) {
    f = callee(f, strsep(&rest, ";"));
    if (f) f->samples += samples;
  }
}

static int depth_of(const frame *f) {
  int deepest = 0;
  for (const frame *c = f->first; c; c = c->next) {
    int depth = depth_of(c);
    if (depth > deepest) deepest = depth;
  }
  return deepest + 1;
}

static void put_escaped(FILE *out, const char *text, size_t length) {
  for (; *text && length > 0; text++, length--) {
    if (*text == '<')
      fputs("&lt;", out);
    else if (*text == '>')
      fputs("&gt;", out);
    else if (*text == '&')
      fputs("&amp;", out);
    else if ((unsigned char)*text >= ' ')
      putc(*text, out);
  }
}

/* Warm colours, the same for the same name. */
static void put_colour(FILE *out, const char *name) {
  unsigned hash = 5381;
  for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
  fprintf(out, "rgb(%u,%u,%u)", 205 + hash % 50, 80 + hash / 50 % 130, hash / 6500 % 60);
}

static void draw(FILE *out, const frame *f, const frame *root, double x, int y) {
  double width = (double)f->samples * WIDTH / (double)root->samples;
  if (width < 0.3) return;
  fprintf(out, "<g><title>");
  put_escaped(out, f->name, 400);
  fprintf(out, ": %lu samples, %.1f %%</title>", f->samples,
          (double)f->samples * 100 / (double)root->samples);
  fprintf(out, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"", x, y,
          width, ROW - 1);
  put_colour(out, f->name);
  fprintf(out, "\"/>");
  if (width > 3 * LETTER) {
    fprintf(out, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + ROW - 5);
    put_escaped(out, f->name, (size_t)(width / LETTER));
    fprintf(out, "</text>");
  }
  fprintf(out, "</g>\n");
  for (const frame *c = f->first; c; c = c->next) {
    draw(out, c, root, x, y - ROW);
    x += (double)c->samples * WIDTH / (double)root->samples;
  }
}

static void free_callees(frame *f) {
  while (f->first) {
    frame *c = f->first;
    f->first = c->next;
    free_callees(c);
    free(c);
  }
}

void tiny_flame_draw(FILE *out, char *folded, const char *title) {
  frame root = {.name = "all"};
  for (char *line; (line = strsep(&folded, "\n"));) add_line(&root, line);
  int height = depth_of(&root) * ROW + 2 * MARGIN;
  fprintf(out,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
          "font-family=\"monospace\" font-size=\"11\">\n"
          "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff8ee\"/>\n"
          "<text x=\"10\" y=\"24\" font-size=\"15\">",
          WIDTH + 20, height);
  put_escaped(out, title, 400);
  fprintf(out, ": %lu samples</text>\n", root.samples);
  if (root.samples > 0) draw(out, &root, &root, 10, height - MARGIN - ROW);
  fprintf(out, "</svg>\n");
  free_callees(&root);
}
