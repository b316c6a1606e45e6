/* SPDX-License-Identifier: MIT
 * mail_text.c -- headers, and everything that may be longer or wider than SMTP allows in base64. */
#include "mail_text.h"
#include "base64.h"
#include "log_text.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORD_BYTES 45 /* of a subject in one encoded word, which may have 75 characters */
#define LINE_BYTES 57 /* of the body in one line of 76 characters */

/* At most a line's bytes. */
static void base64(FILE *out, const char *text, size_t size) {
  char line[TINY_BASE64_ROOM(LINE_BYTES)];
  tiny_base64_encode(text, size, line);
  fputs(line, out);
}

static int is_ascii(const char *text) {
  while (*text && (unsigned char)*text < 0x80) text++;
  return !*text;
}

/* RFC 2047 where it is needed; else as it is, its words being short. */
static void write_subject(FILE *out, const char *subject) {
  fputs("Subject:", out);
  if (is_ascii(subject)) fprintf(out, " %s", subject);
  for (size_t left = is_ascii(subject) ? 0 : strlen(subject); left > 0;) {
    size_t size = left > WORD_BYTES ? tiny_text_cut(subject, WORD_BYTES) : left;
    fputs(" =?UTF-8?B?", out);
    base64(out, subject, size);
    subject += size;
    left -= size;
    fputs(left ? "?=\r\n" : "?=", out);
  }
  fputs("\r\n", out);
}

/* Names of days and months as in RFC 5322, whatever the locale. */
static void write_date(FILE *out, time_t now) {
  static const char days[] = "SunMonTueWedThuFriSat",
                    months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm tm;
  localtime_r(&now, &tm);
  long minutes = labs(tm.tm_gmtoff) / 60;
  fprintf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d %c%02ld%02ld\r\n", days + tm.tm_wday * 3,
          tm.tm_mday, months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
          tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static void write_id(FILE *out) {
  static _Atomic unsigned count;
  char host[256] = "localhost";
  struct timespec now;
  gethostname(host, sizeof host - 1);
  clock_gettime(CLOCK_REALTIME, &now);
  fprintf(out, "Message-ID: <%lld.%ld.%ld.%u@%s>\r\n", (long long)now.tv_sec, now.tv_nsec,
          (long)getpid(), atomic_fetch_add(&count, 1), host);
}

static void write_headers(FILE *out, const char *from, const char *const *targets,
                          const char *subject) {
  fprintf(out, "From: <%s>\r\n", from);
  for (size_t i = 0; targets[i]; i++) fprintf(out, "%s<%s>", i ? ",\r\n " : "To: ", targets[i]);
  fputs("\r\n", out);
  write_subject(out, subject);
  write_date(out, time(NULL));
  write_id(out);
  fputs("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        out);
}

char *tiny_mail_text(const char *from, const char *const *targets, const char *subject,
                     const char *body, size_t body_size, size_t *size) {
  char *text = NULL;
  FILE *out = open_memstream(&text, size);
  if (!out) return NULL;
  write_headers(out, from, targets, subject);
  for (size_t at = 0; at < body_size; at += LINE_BYTES) {
    base64(out, body + at, body_size - at < LINE_BYTES ? body_size - at : LINE_BYTES);
    fputs("\r\n", out);
  }
  int failed = ferror(out) | fclose(out);
  if (!failed) return text;
  free(text);
  return NULL;
}
