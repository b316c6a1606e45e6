/* SPDX-License-Identifier: MIT
 * http_head.c -- RFC 9112 without its leniencies: CRLF only, no folded lines, no blank before
 * a colon, one Host, one way to tell where the body ends. */
#include "http_head.h"

#include <string.h>
#include <strings.h>

enum {
  BAD = -400,
  TOO_LONG = -414,
  TOO_MANY = -431,
  UNKNOWN_CODING = -501,
  UNKNOWN_VERSION = -505,
  UNMET = -417
};

/* Kinds of characters; values are made of those of targets, and blanks. */
enum { TOKEN = 1, TARGET = 2, HOST = 4, BLANK = 8 };

static const unsigned char kinds[256] = {
    ['\t'] = 8,        [' '] = 8,         ['!'] = 7,        ['"'] = 2,  ['#'] = 3,
    ['$'] = 7,         ['%'] = 3,         ['&'] = 7,        ['\''] = 7, ['('] = 6,
    [')'] = 6,         ['*'] = 7,         ['+'] = 7,        [','] = 2,  ['-'] = 7,
    ['.'] = 7,         ['/'] = 2,         [':'] = 6,        [';'] = 6,  ['<'] = 2,
    ['='] = 6,         ['>'] = 2,         ['?'] = 2,        ['@'] = 2,  ['['] = 6,
    ['\\'] = 2,        [']'] = 6,         ['^'] = 3,        ['_'] = 7,  ['`'] = 3,
    ['{'] = 2,         ['|'] = 3,         ['}'] = 2,        ['~'] = 7,  ['0' ... '9'] = 7,
    ['A' ... 'Z'] = 7, ['a' ... 'z'] = 7, [128 ... 255] = 6};

static bool is(char c, unsigned char kind) { return kinds[(unsigned char)c] & kind; }

bool tiny_http_is_token(unsigned char c) { return kinds[c] & TOKEN; }

static bool is_blank(char c) { return is(c, BLANK); }

/* -- the end --------------------------------------------------------------- */

/* An empty line before the request is skipped: some clients send one after a body. */
int tiny_http_scan_head(tiny_http_scan *scan, const char *data, size_t size, size_t limit) {
  size_t end = size < limit ? size : limit;
  while (scan->at < end) {
    const char *lf = memchr(data + scan->at, '\n', end - scan->at);
    scan->at = lf ? (size_t)(lf - data) + 1 : end;
    if (!lf) break;
    size_t length = scan->at - scan->line; /* CRLF included */
    if (length < 2 || lf[-1] != '\r') return BAD;
    if (length == 2 && scan->line > 2) return (int)scan->at;
    if (length == 2 && scan->line == 2) return BAD; /* a second empty line */
    scan->line = scan->at;
  }
  if (size < limit) return 0;
  return scan->line <= 2 ? TOO_LONG : TOO_MANY;
}

/* -- the request line ------------------------------------------------------ */

typedef struct reader {
  const char *data;
  uint32_t at, end; /* of the line, without its CRLF */
  tiny_http_head *head;
  unsigned hosts, lengths, codings;
} reader;

static tiny_http_span until(reader *r, unsigned char kind) {
  uint32_t from = r->at, at = from, end = r->end;
  const char *data = r->data;
  while (at < end && is(data[at], kind)) at++;
  r->at = at;
  return (tiny_http_span){from, at - from};
}

static bool is_text(const reader *r, tiny_http_span span, const char *text) {
  return span.size == strlen(text) && memcmp(r->data + span.at, text, span.size) == 0;
}

static bool is_any_case(const reader *r, tiny_http_span span, const char *text) {
  return span.size == strlen(text) && strncasecmp(r->data + span.at, text, span.size) == 0;
}

static bool begins(const char *text, uint32_t size, const char *with) {
  return size > strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

/* "http://host/path" means "/path": what it says of the host, the Host field says too. Returns the size of
 * what the path is to be found behind, -1 when there is no host or no path. */
static int origin_size(const char *text, uint32_t size) {
  uint32_t scheme = begins(text, size, "http://") ? 7 : begins(text, size, "https://") ? 8 : 0;
  if (!scheme) return 0;
  const char *slash = memchr(text + scheme, '/', size - scheme);
  return slash && slash > text + scheme ? (int)(slash - text) : -1;
}

static int split_target(reader *r, tiny_http_span target) {
  tiny_http_head *h = r->head;
  const char *text = r->data + target.at;
  int skip = origin_size(text, target.size);
  if (skip < 0) return BAD;
  if (text[skip] != '/' && !is_text(r, target, "*")) return BAD;
  const char *mark = memchr(text + skip, '?', target.size - skip);
  uint32_t end = mark ? (uint32_t)(mark - text) : target.size;
  h->path = (tiny_http_span){target.at + skip, end - skip};
  h->query =
      mark ? (tiny_http_span){target.at + end + 1, target.size - end - 1} : (tiny_http_span){0, 0};
  return memchr(text, '#', target.size) ? BAD : 0;
}

static int read_version(reader *r) {
  const char *text = r->data + r->at;
  if (r->end - r->at != 8 || memcmp(text, "HTTP/", 5) != 0 || text[6] != '.') return BAD;
  if (text[5] < '0' || text[5] > '9' || text[7] < '0' || text[7] > '9') return BAD;
  if (text[5] != '1') return UNKNOWN_VERSION;
  r->head->minor = text[7] == '0' ? 0 : 1;
  r->head->keep_alive = r->head->minor == 1;
  return 0;
}

static int read_request_line(reader *r) {
  tiny_http_head *h = r->head;
  h->method = until(r, TOKEN);
  if (h->method.size == 0 || r->at == r->end || r->data[r->at++] != ' ') return BAD;
  h->target = until(r, TARGET);
  if (h->target.size == 0 || r->at == r->end || r->data[r->at++] != ' ') return BAD;
  int rc = read_version(r);
  return rc != 0 ? rc : split_target(r, h->target);
}

/* -- fields ---------------------------------------------------------------- */

static int read_length(reader *r, tiny_http_span value) {
  uint64_t length = 0;
  if (value.size == 0 || value.size > 18) return BAD;
  for (uint32_t i = 0; i < value.size; i++) {
    char c = r->data[value.at + i];
    if (c < '0' || c > '9') return BAD;
    length = length * 10 + (uint64_t)(c - '0');
  }
  if (r->lengths++ > 0 && length != r->head->length) return BAD;
  r->head->length = length;
  return 0;
}

static int read_coding(reader *r, tiny_http_span value) {
  if (r->codings++ > 0 || r->head->minor == 0) return BAD;
  r->head->chunked = true;
  return is_any_case(r, value, "chunked") ? 0 : UNKNOWN_CODING;
}

/* A list of words; only the two that say whether the connection stays are ours. */
static int read_connection(reader *r, tiny_http_span value) {
  uint32_t at = value.at, end = value.at + value.size;
  while (at < end) {
    const char *comma = memchr(r->data + at, ',', end - at);
    uint32_t next = comma ? (uint32_t)(comma - r->data) : end;
    tiny_http_span word = {at, next - at};
    while (word.size > 0 && is_blank(r->data[word.at])) word.at++, word.size--;
    while (word.size > 0 && is_blank(r->data[word.at + word.size - 1])) word.size--;
    if (is_any_case(r, word, "close")) r->head->keep_alive = false;
    if (is_any_case(r, word, "keep-alive") && r->head->minor == 0) r->head->keep_alive = true;
    at = next + 1;
  }
  return 0;
}

static int read_expect(reader *r, tiny_http_span value) {
  if (!is_any_case(r, value, "100-continue")) return UNMET;
  r->head->expects_continue = r->head->minor == 1;
  return 0;
}

/* A host and perhaps a port: nothing that would be a path, a list or a second word. */
static int read_host(reader *r, tiny_http_span value) {
  if (r->hosts++ > 0) return BAD;
  for (uint32_t i = 0; i < value.size; i++)
    if (!is(r->data[value.at + i], HOST)) return BAD;
  r->head->host = value;
  return 0;
}

static int understand(reader *r, const tiny_http_field *field) {
  switch (field->name.size) {
  case 4: return is_any_case(r, field->name, "Host") ? read_host(r, field->value) : 0;
  case 6: return is_any_case(r, field->name, "Expect") ? read_expect(r, field->value) : 0;
  case 10: return is_any_case(r, field->name, "Connection") ? read_connection(r, field->value) : 0;
  case 14: return is_any_case(r, field->name, "Content-Length") ? read_length(r, field->value) : 0;
  case 17:
    return is_any_case(r, field->name, "Transfer-Encoding") ? read_coding(r, field->value) : 0;
  default: return 0;
  }
}

static int read_field(reader *r) {
  tiny_http_head *h = r->head;
  if (h->count == TINY_HTTP_FIELDS) return TOO_MANY;
  tiny_http_field *field = &h->fields[h->count++];
  field->name = until(r, TOKEN);
  if (field->name.size == 0 || r->at == r->end || r->data[r->at++] != ':') return BAD;
  until(r, BLANK);
  field->value = until(r, TARGET | BLANK);
  if (r->at < r->end) return BAD;
  while (field->value.size > 0 && is_blank(r->data[r->at - 1])) r->at--, field->value.size--;
  return understand(r, field);
}

/* -- the whole ------------------------------------------------------------- */

/* Go to the line at 'at'. Returns where the one after it begins. */
static uint32_t enter_line(reader *r, uint32_t at, size_t size) {
  const char *lf = memchr(r->data + at, '\n', size - at);
  uint32_t next = (uint32_t)(lf - r->data) + 1;
  r->at = at;
  r->end = next - 2;
  return next;
}

static int check_framing(const reader *r) {
  if (r->codings > 0 && r->lengths > 0) return BAD;
  return r->hosts == 0 && r->head->minor == 1 ? BAD : 0;
}

int tiny_http_read_head(const char *data, size_t size, tiny_http_head *head) {
  reader r = {.data = data, .head = head};
  memset(head, 0, offsetof(tiny_http_head, fields));
  head->size = (uint32_t)size;
  uint32_t next = enter_line(&r, data[0] == '\r' ? 2 : 0, size);
  int rc = read_request_line(&r);
  while (rc == 0 && next < size - 2) {
    next = enter_line(&r, next, size);
    rc = read_field(&r);
  }
  return rc != 0 ? rc : check_framing(&r);
}

const tiny_http_field *tiny_http_find(const tiny_http_head *head, const char *data,
                                      const char *name) {
  size_t size = strlen(name);
  for (unsigned i = 0; i < head->count; i++) {
    const tiny_http_field *field = &head->fields[i];
    if (field->name.size == size && strncasecmp(data + field->name.at, name, size) == 0)
      return field;
  }
  return NULL;
}
