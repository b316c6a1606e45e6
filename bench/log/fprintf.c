/* SPDX-License-Identifier: MIT
 * fprintf.c -- the limit: fprintf into stdio's buffer. fprintf MODE LINES FILE */
#include <stdio.h>
#include <unistd.h>

static FILE *file;
static int pid;
static volatile int level = 1;

#define LOG(i)                                                                                     \
  fprintf(file, "<INFO: %s(%d)> [%s: %d] >> request %d took %d ms for %s \n", "bench", pid,        \
          "fprintf.c", __LINE__, i, 12, "alice")
#define OFF(i)                                                                                     \
  if (level < 1) LOG(i)
#define SETTLE() fflush(file)
#include "lines.h"

int main(int argc, char **argv) {
  if (argc != 4 || !(file = fopen(argv[3], "a"))) return 1;
  pid = (int)getpid();
  measure(argv[1], atoi(argv[2]));
  return fclose(file);
}
