/* SPDX-License-Identifier: MIT
 * test_log_flood.c -- a million numbered lines from four threads into a file that is rotated
 * and whose settings change meanwhile: none lost, none torn, each thread's in its order. */
#include "log_fixture.h"
#include "rounds.h"

#include <pthread.h>

#define THREADS 4
#define FILES   20

static unsigned generation, each; /* so many lines a thread */

static void settings(void) {
  json_t *keys =
      json_pack("{sssssbs{si}sisI}", "log.file_log", "app.log", "log.file_log.level", "INFO",
                "log.console", 0, "log.file_log.rotate", "size", 8 << 20, "log.file_log.keep",
                FILES, "log.buffer", (json_int_t)((32 + generation++ % 2 * 8) << 20));
  configure(keys);
}

/* Lines of many lengths; waits now and then until the log thread has caught up. */
static void *put_numbers(void *data) {
  char text[400];
  unsigned thread = (unsigned)(uintptr_t)data;
  memset(text, '.', sizeof text);
  for (unsigned i = 0; i < each; i++) {
    int n = snprintf(text, 40, "%u %u ", thread, i);
    text[n] = '.';
    tiny_log_put(lines, TINY_INFO, NULL, text, (size_t)n + i % 97, NULL);
    if (i % 5000 == 0 && tiny_log_flush(lines, 60000) != 0) return "too slow";
  }
  return NULL;
}

static int next[THREADS];

static bool is_right(const char *line) {
  unsigned thread;
  int number, used;
  if (sscanf(line, "%u %d%n", &thread, &number, &used) != 2 || thread >= THREADS) return false;
  if (number != next[thread]++ || line[used++] != ' ') return false;
  size_t dots = strspn(line + used, ".");
  return dots == (size_t)(number % 97) && strcmp(line + used + dots, "\n") == 0;
}

static void check_file(const char *name) {
  char line[400];
  FILE *file = fopen(in_folder(name), "r");
  while (file && fgets(line, sizeof line, file)) {
    if (!is_right(line)) ck_abort_msg("%s: %s", name, line);
  }
  if (file) fclose(file);
}

START_TEST(a_million_lines_from_four_threads_arrive) {
  pthread_t threads[THREADS];
  char name[40];
  void *failure;
  each = (unsigned)rounds_of(250000);
  settings();
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, put_numbers, (void *)i);
  for (int i = 0; i < 10; i++, nap_ms(20)) settings();
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], &failure);
    ck_assert_ptr_null(failure);
  }
  ck_assert_int_eq(tiny_log_flush(lines, 60000), 0);
  ck_assert_uint_eq(tiny_log_count(lines).dropped, 0);
  ck_assert_uint_eq(tiny_log_count(lines).lines, THREADS * each);
  for (int i = FILES; i >= 1; i--) {
    snprintf(name, sizeof name, "app.log.%d", i);
    check_file(name);
  }
  check_file("app.log");
  for (int i = 0; i < THREADS; i++) ck_assert_int_eq(next[i], each);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("flood");
  tcase_add_checked_fixture(tests, open_log, close_log);
  tcase_set_timeout(tests, 110);
  tcase_add_test(tests, a_million_lines_from_four_threads_arrive);
  return run_suite("log_flood", tests);
}
