/* SPDX-License-Identifier: MIT
 * two.c -- two runtimes in one process, each on a thread of its own with the runtime's loop, and a
 * main thread that asks things of both.
 *
 *     two left/conf.lua right/conf.lua                                                */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tiny.h>

typedef struct side {
  const char *name;
  tiny *runtime;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t told;
  int outcomes; /* behind the lock */
} side;

static void on_log(void *data, const tiny_logged *line) {
  const side *s = data;
  printf("%s: %.*s\n", s->name, (int)line->text_size, line->text);
}

static void *run(void *data) {
  side *s = data;
  return (void *)(intptr_t)tiny_run(s->runtime);
}

static int start(side *s, const char *name, const char *conf) {
  char why[512];
  tiny_options options = {.conf = conf, .data = s, .log = on_log, .log_level = TINY_INFO};
  *s = (side){.name = name, .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
  s->runtime = tiny_new(&options, why, sizeof why);
  if (s->runtime && pthread_create(&s->thread, NULL, run, s) == 0) return 0;
  fprintf(stderr, "two: %s: %s\n", name, s->runtime ? "no thread" : why);
  tiny_free(s->runtime);
  return -1;
}

/* On that side's loop thread. */
static void on_reloaded(void *data, bool done, const char *text) {
  side *s = data;
  printf("%s: %s: %s\n", s->name, done ? "yes" : "no", text);
  pthread_mutex_lock(&s->lock);
  s->outcomes++;
  pthread_cond_signal(&s->told);
  pthread_mutex_unlock(&s->lock);
}

/* Asks, and waits for the answer. The first one also waits for the start. */
static void reload(side *s) {
  pthread_mutex_lock(&s->lock);
  int before = s->outcomes;
  pthread_mutex_unlock(&s->lock);
  if (tiny_reload(s->runtime, on_reloaded, s) != 0) return;
  pthread_mutex_lock(&s->lock);
  while (s->outcomes == before) pthread_cond_wait(&s->told, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static int finish(side *s, int code) {
  void *result;
  tiny_close(s->runtime, 0, code, NULL, NULL);
  pthread_join(s->thread, &result);
  tiny_free(s->runtime);
  return (int)(intptr_t)result;
}

int main(int argc, char **argv) {
  side left, right;
  if (argc != 3 || start(&left, "left", argv[1]) != 0) return EXIT_FAILURE;
  if (start(&right, "right", argv[2]) != 0) {
    finish(&left, 0);
    return EXIT_FAILURE;
  }
  for (int i = 0; i < 3; i++) {
    reload(&left);
    reload(&right);
  }
  int codes[] = {finish(&left, 11), finish(&right, 22)};
  printf("exit codes %d and %d\n", codes[0], codes[1]);
  return codes[0] == 11 && codes[1] == 22 ? EXIT_SUCCESS : EXIT_FAILURE;
}
