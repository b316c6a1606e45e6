/* SPDX-License-Identifier: MIT
 * report.c -- text for signal handlers. */
#include "report.h"

tiny_report tiny_report_begin(char *text, size_t size) {
  text[0] = 0;
  return (tiny_report){text, size, 0};
}

void tiny_report_put(tiny_report *report, const char *text) {
  for (; text && *text && report->used + 1 < report->size; text++)
    report->text[report->used++] = *text;
  report->text[report->used] = 0;
}

static void put_digits(tiny_report *report, uint64_t number, unsigned base) {
  char digits[24], *at = digits + sizeof digits;
  *--at = 0;
  do *--at = "0123456789abcdef"[number % base];
  while (number /= base);
  tiny_report_put(report, at);
}

void tiny_report_number(tiny_report *report, int64_t number) {
  if (number < 0) tiny_report_put(report, "-");
  put_digits(report, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10);
}

void tiny_report_hex(tiny_report *report, uintptr_t number) {
  tiny_report_put(report, "0x");
  put_digits(report, number, 16);
}
