/* SPDX-License-Identifier: MIT
 * log_clock.c -- what localtime_r() says, asked for once in a quarter of an hour
 * (no zone ever changes its offset at another minute) and counted on from there. */
#include "log_clock.h"

#include <string.h>
#include <time.h>

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static void find_offset(tiny_clock *clock, int64_t second) {
  int64_t quarter = floor_div(second, 900) + 1;
  if (clock->frozen || quarter == clock->quarter) return;
  time_t when = (time_t)second;
  struct tm tm;
  if (localtime_r(&when, &tm)) clock->offset = (int)tm.tm_gmtoff;
  clock->quarter = quarter;
}

/* The civil date of a day counted from 1970, in years that begin in March. */
static void find_date(tiny_clock *clock, int64_t day) {
  int64_t from_era = day + 719468; /* days since 0000-03-01 */
  int64_t era = floor_div(from_era, 146097);
  int in_era = (int)(from_era - era * 146097);
  int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  int in_year = in_era - (365 * year + year / 4 - year / 100);
  int march_month = (5 * in_year + 2) / 153;
  clock->day = in_year - (153 * march_month + 2) / 5 + 1;
  clock->month = march_month < 10 ? march_month + 3 : march_month - 9;
  clock->year = (int)(era * 400) + year + (clock->month <= 2);
}

static void two(char *at, int value, char after) {
  at[0] = (char)('0' + value / 10);
  at[1] = (char)('0' + value % 10);
  at[2] = after;
}

static void write_down(tiny_clock *clock) {
  int year = clock->year % 10000;
  two(clock->date, year / 100, 0);
  two(clock->date + 2, year % 100, '-');
  two(clock->date + 5, clock->month, '-');
  two(clock->date + 8, clock->day, 0);
  two(clock->time, clock->hour, ':');
  two(clock->time + 3, clock->minute, ':');
  two(clock->time + 6, clock->sec, 0);
}

void tiny_clock_set(tiny_clock *clock, int64_t second) {
  if (second == clock->second && clock->date[0]) return;
  find_offset(clock, second);
  int64_t local = second + clock->offset, day = floor_div(local, 86400);
  int rest = (int)(local - day * 86400);
  find_date(clock, day);
  clock->second = second;
  clock->hour = rest / 3600;
  clock->minute = rest / 60 % 60;
  clock->sec = rest % 60;
  write_down(clock);
}

int64_t tiny_clock_minute(const tiny_clock *clock) {
  return floor_div(clock->second + clock->offset, 60);
}
