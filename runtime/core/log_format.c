/* SPDX-License-Identifier: MIT
 * log_format.c -- compiling a sink's format, and writing a line by it. */
#include "log_format.h"
#include "log_json.h"
#include "log_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind {
  LITERAL, /* and what is known beforehand: name, process, %% */
  ASCTIME,
  LEVELNAME,
  FILENAME,
  LINENO,
  FUNCNAME,
  THREADNAME,
  MESSAGE,
  NAME,
  PROCESS
} kind;

typedef struct step {
  kind kind;
  bool left, zeros;
  size_t width, most; /* at least and at most so many bytes; most 0: as many as there are */
  size_t at, size;    /* of a literal */
} step;

struct tiny_format {
  bool json; /* then the literals are the object's name and pid */
  unsigned wants;
  size_t widths; /* of all steps together */
  char *literals, *literals_end;
  size_t count;
  step steps[];
};

static const struct field {
  const char *name;
  kind kind;
  char letter; /* what Python wants after the name; 's' is always right */
  unsigned wants;
} fields[] = {
    {"asctime", ASCTIME, 's', 0},
    {"levelname", LEVELNAME, 's', 0},
    {"name", NAME, 's', 0},
    {"process", PROCESS, 'd', 0},
    {"filename", FILENAME, 's', TINY_WANTS_WHERE},
    {"lineno", LINENO, 'd', TINY_WANTS_WHERE},
    {"funcName", FUNCNAME, 's', TINY_WANTS_WHERE | TINY_WANTS_FUNC},
    {"threadName", THREADNAME, 's', TINY_WANTS_THREAD},
    {"message", MESSAGE, 's', 0},
};

static const struct field *find_field(const char *name, size_t size) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strlen(fields[i].name) == size && memcmp(fields[i].name, name, size) == 0)
      return &fields[i];
  }
  return NULL;
}

static char *blanks(char *at, char *end, size_t count, char blank) {
  size_t room = (size_t)(end - at);
  if (count > room) count = room;
  memset(at, blank, count);
  return at + count;
}

/* Writes a value with the step's width and precision. */
static char *padded(const step *s, char *at, char *end, const char *text, size_t size) {
  if (s->most && size > s->most) size = tiny_text_cut(text, s->most);
  size_t gap = s->width > size ? s->width - size : 0;
  if (!s->left) at = blanks(at, end, gap, s->zeros ? '0' : ' ');
  at = tiny_text_raw(at, end, text, size);
  return s->left ? blanks(at, end, gap, ' ') : at;
}

/* What is written right away may turn out longer or shorter than the step wants. */
static char *adjust(const step *s, char *from, char *at, char *end) {
  size_t size = (size_t)(at - from);
  if (s->most && size > s->most) {
    size = tiny_text_cut(from, s->most);
    at = from + size;
  }
  if (size >= s->width) return at;
  if (s->left) return blanks(at, end, s->width - size, ' ');
  size_t gap = s->width - size, room = (size_t)(end - at);
  if (gap > room) gap = room;
  memmove(from + gap, from, size);
  memset(from, s->zeros ? '0' : ' ', gap);
  return at + gap;
}

/* ---- compiling ---- */

static size_t digits(const char **spec) {
  size_t number = 0;
  for (; **spec >= '0' && **spec <= '9'; ++*spec) number = number * 10 + (size_t)(**spec - '0');
  return number > 1000 ? 1000 : number;
}

static void parse_widths(step *s, const char **spec) {
  for (; **spec == '-' || **spec == '0' || **spec == ' ' || **spec == '+'; ++*spec) {
    if (**spec == '-') s->left = true;
    if (**spec == '0') s->zeros = true;
  }
  s->width = digits(spec);
  if (**spec == '.') {
    ++*spec;
    s->most = digits(spec);
  }
}

static int refuse(char *why, size_t size, const char *what, const char *at, const char *end) {
  snprintf(why, size, "%s \"%.*s\"", what, (int)(end - at), at);
  return -1;
}

/* One "%(name)-5s" at '*spec', which is moved behind it. */
static int parse_field(tiny_format *f, step *s, const char **spec, char *why, size_t size) {
  const char *start = *spec, *end = start[1] == '(' ? strchr(start, ')') : NULL;
  if (!end) return refuse(why, size, "expected %(field)s at", start, start + strnlen(start, 12));
  const struct field *field = find_field(start + 2, (size_t)(end - start) - 2);
  if (!field) return refuse(why, size, "unknown field", start, end + 1);
  *spec = end + 1;
  parse_widths(s, spec);
  if (!**spec || (**spec != 's' && **spec != field->letter)) {
    return refuse(why, size, "expected a width and s or d after", start, end + 1);
  }
  ++*spec;
  s->kind = field->kind;
  f->wants |= field->wants;
  f->widths += s->width;
  return 0;
}

/* Literals lie behind each other, so neighbours grow into one step. */
static void add_literal(tiny_format *f, const step *like, const char *text, size_t size) {
  step *last = f->count ? &f->steps[f->count - 1] : NULL;
  if (!last || last->kind != LITERAL) {
    last = &f->steps[f->count++];
    *last = (step){.kind = LITERAL, .at = (size_t)(f->literals_end - f->literals)};
  }
  char *after = padded(like, f->literals_end, f->literals_end + size + like->width, text, size);
  last->size += (size_t)(after - f->literals_end);
  f->literals_end = after;
}

static int add_field(tiny_format *f, const char **spec, tiny_span name, tiny_span pid, char *why,
                     size_t size) {
  step s = {0};
  if (parse_field(f, &s, spec, why, size) != 0) return -1;
  if (s.kind == NAME) {
    add_literal(f, &s, name.text, name.size);
  } else if (s.kind == PROCESS) {
    add_literal(f, &s, pid.text, pid.size);
  } else {
    f->steps[f->count++] = s;
  }
  return 0;
}

static int parse(tiny_format *f, const char *spec, tiny_span name, tiny_span pid, char *why,
                 size_t size) {
  static const step as_is = {0};
  while (*spec) {
    size_t run = strcspn(spec, "%");
    if (run > 0) {
      add_literal(f, &as_is, spec, run);
      spec += run;
    } else if (spec[1] == '%') {
      add_literal(f, &as_is, spec, 1);
      spec += 2;
    } else if (add_field(f, &spec, name, pid, why, size) != 0) {
      return -1;
    }
  }
  return 0;
}

/* A name may stand at every fourth byte of a spec, each with a width of up to 1000. */
static size_t literals_most(const char *spec, size_t name) {
  size_t count = 0;
  for (const char *at = spec; (at = strchr(at, '%')); at++) count++;
  return strlen(spec) + count * (name + 1020) + 1;
}

tiny_format *tiny_format_new(const char *spec, const char *name, long pid, char *why,
                             size_t why_size) {
  char number[24];
  bool json = strcmp(spec, "json") == 0;
  tiny_span who = {name, strlen(name)};
  tiny_span id = {number, (size_t)snprintf(number, sizeof number, "%ld", pid)};
  tiny_format *f = calloc(1, sizeof *f + (strlen(spec) + 1) * sizeof(step));
  size_t room = json ? tiny_json_who_most(who) : literals_most(spec, who.size);
  if (!f || !(f->literals = f->literals_end = malloc(room))) {
    snprintf(why, why_size, "out of memory");
  } else if (json) {
    f->json = true;
    f->wants = TINY_WANTS_WHERE;
    f->literals_end = tiny_json_who(f->literals, f->literals + room, who, id);
    return f;
  } else if (parse(f, spec, who, id, why, why_size) == 0) {
    return f;
  }
  tiny_format_free(f);
  return NULL;
}

void tiny_format_free(tiny_format *format) {
  if (!format) return;
  free(format->literals);
  free(format);
}

unsigned tiny_format_wants(const tiny_format *format) { return format->wants; }

/* ---- writing ---- */

static size_t literals_size(const tiny_format *f) {
  return (size_t)(f->literals_end - f->literals);
}

/* A field may stand in a spec more than once. */
size_t tiny_format_most(const tiny_format *f, const tiny_line *line) {
  size_t text = tiny_text_most(line->text.size + line->fields.size) + 1;
  size_t names = tiny_text_most(line->file.size + line->func.size + line->thread.size);
  size_t values = f->json ? text + names + 256 : f->count * (text + names + 64);
  return literals_size(f) + f->widths + values;
}

static char *write_asctime(tiny_clock *clock, uint64_t time_ns, char *at, char *end) {
  at = tiny_text_raw(at, end, clock->date, 10);
  at = tiny_text_raw(at, end, " ", 1);
  at = tiny_text_raw(at, end, clock->time, 8);
  at = tiny_text_raw(at, end, ",", 1);
  return tiny_text_number(at, end, time_ns / 1000000 % 1000, 3);
}

/* The fields of a line follow its message where they have no place of their own. */
static char *write_message(const tiny_line *line, char *at, char *end) {
  at = tiny_text_message(at, end, line->text.text, line->text.size);
  if (line->fields.size == 0) return at;
  if (line->text.size > 0) at = tiny_text_raw(at, end, " ", 1);
  return tiny_text_message(at, end, line->fields.text, line->fields.size);
}

static char *write_value(const step *s, tiny_clock *clock, const tiny_line *line, char *at,
                         char *end) {
  switch (s->kind) {
  case ASCTIME: return write_asctime(clock, line->time_ns, at, end);
  case LEVELNAME: {
    const char *name = tiny_level_name(line->level);
    return tiny_text_raw(at, end, name, strlen(name));
  }
  case FILENAME: return tiny_text_message(at, end, line->file.text, line->file.size);
  case LINENO: return tiny_text_number(at, end, line->number, 1);
  case FUNCNAME: return tiny_text_message(at, end, line->func.text, line->func.size);
  case THREADNAME: return tiny_text_message(at, end, line->thread.text, line->thread.size);
  default: return write_message(line, at, end);
  }
}

char *tiny_format_write(const tiny_format *f, tiny_clock *clock, const tiny_line *line, char *at,
                        char *end) {
  tiny_clock_set(clock, (int64_t)(line->time_ns / 1000000000));
  if (f->json) return tiny_json_write(f->literals, literals_size(f), clock, line, at, end);
  for (const step *s = f->steps; s < f->steps + f->count; s++) {
    if (s->kind == LITERAL) {
      at = tiny_text_raw(at, end, f->literals + s->at, s->size);
      continue;
    }
    char *from = at;
    at = write_value(s, clock, line, at, end);
    if (s->width || s->most) at = adjust(s, from, at, end);
  }
  return at;
}
