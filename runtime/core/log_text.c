/* SPDX-License-Identifier: MIT
 * log_text.c -- escaping: no forged lines, no terminal escapes, nothing lost. */
#include "log_text.h"
#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INDENT "    "

char *tiny_text_raw(char *at, char *end, const char *text, size_t size) {
  size_t room = (size_t)(end - at);
  if (size > room) size = tiny_text_cut(text, room);
  memcpy(at, text, size);
  return at + size;
}

/* Each byte is tested at once: 0x80 is set for one below 0x20, 0x7f or above, '"' and '\\'. */
#define EACH(byte) (0x0101010101010101ull * (byte))
static uint64_t equal(uint64_t x, uint64_t each) {
  x ^= each;
  return (x - EACH(1)) & ~x;
}
static bool plain(const char *text, bool json) {
  uint64_t x;
  memcpy(&x, text, 8);
  uint64_t odd = x | (x - EACH(0x20)) | equal(x, EACH(0x7f));
  if (json) odd |= equal(x, EACH('"')) | equal(x, EACH('\\'));
  return !(odd & EACH(0x80));
}

static bool plain_byte(unsigned char c, bool json) {
  return c >= 0x20 && c < 0x7f && !(json && (c == '"' || c == '\\'));
}

/* How many bytes from the start need no look at all. */
static size_t plain_run(const char *text, size_t size, bool json) {
  size_t n = 0;
  while (n + 8 <= size && plain(text + n, json)) n += 8;
  while (n < size && plain_byte((unsigned char)text[n], json)) n++;
  return n;
}

static char *hex(char *at, char *end, const char *head, unsigned value, int digits) {
  at = tiny_text_raw(at, end, head, strlen(head));
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    if (at < end) *at++ = "0123456789abcdef"[value >> shift & 15];
  }
  return at;
}

/* U+0080 to U+009F, which some terminals obey as they do escapes. */
static bool is_control(const char *text, size_t length) {
  return length == 2 && text[0] == (char)0xc2 && (unsigned char)text[1] < 0xa0;
}

/* What is not plain in a message: a stray byte (length 0), or one character. */
static char *odd_message(char *at, char *end, const char *text, size_t length) {
  unsigned char c = (unsigned char)text[0];
  if (length > 1 && !is_control(text, length)) return tiny_text_raw(at, end, text, length);
  if (length > 1) return hex(at, end, "\\u", (unsigned char)text[1], 4);
  if (c == '\n') return tiny_text_raw(at, end, "\n" INDENT, sizeof INDENT);
  if (c == '\t') return tiny_text_raw(at, end, "\t", 1);
  if (c == '\r') return tiny_text_raw(at, end, "\\r", 2);
  return hex(at, end, "\\x", c, 2);
}

static char *odd_json(char *at, char *end, const char *text, size_t length) {
  unsigned char c = (unsigned char)text[0];
  if (length == 0) return hex(at, end, "\\\\x", c, 2);
  if (length > 1 && !is_control(text, length)) return tiny_text_raw(at, end, text, length);
  if (length > 1) return hex(at, end, "\\u", (unsigned char)text[1], 4);
  if (c == '"') return tiny_text_raw(at, end, "\\\"", 2);
  if (c == '\\') return tiny_text_raw(at, end, "\\\\", 2);
  if (c == '\n') return tiny_text_raw(at, end, "\\n", 2);
  if (c == '\t') return tiny_text_raw(at, end, "\\t", 2);
  if (c == '\r') return tiny_text_raw(at, end, "\\r", 2);
  return hex(at, end, "\\u", c, 4);
}

/* What is between plain runs is written by 'odd'. */
static char *escape(char *at, char *end, const char *text, size_t size, bool json,
                    char *(*odd)(char *at, char *end, const char *text, size_t length)) {
  while (size > 0) {
    size_t run = plain_run(text, size, json);
    at = tiny_text_raw(at, end, text, run);
    text += run;
    size -= run;
    if (size == 0) break;
    size_t length = tiny_utf8_length(text, size);
    at = odd(at, end, text, length);
    text += length ? length : 1;
    size -= length ? length : 1;
  }
  return at;
}

char *tiny_text_message(char *at, char *end, const char *text, size_t size) {
  while (size > 0 && text[size - 1] == '\n') size--;
  return escape(at, end, text, size, false, odd_message);
}

char *tiny_text_json(char *at, char *end, const char *text, size_t size) {
  return escape(at, end, text, size, true, odd_json);
}

char *tiny_text_mended(char *at, char *end, const char *json, size_t size) {
  return escape(at, end, json, size, false, odd_json);
}

size_t tiny_text_most(size_t size) { return size * 6; }

size_t tiny_text_cut(const char *text, size_t size) {
  size_t n = size;
  while (n > 0 && size - n < 4 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
  return size - n < 4 ? n : size;
}

/* Digits go where they belong at once: copying what was just written byte by byte stalls. */
char *tiny_text_number(char *at, char *end, unsigned long long number, int digits) {
  int count = 1;
  for (unsigned long long rest = number / 10; rest > 0; rest /= 10) count++;
  if (count < digits) count = digits;
  if (end - at < count) return at;
  for (int i = count - 1; i >= 0; i--) {
    at[i] = (char)('0' + number % 10);
    number /= 10;
  }
  return at + count;
}
