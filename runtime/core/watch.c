/* SPDX-License-Identifier: MIT
 * watch.c -- one inotify watch a folder, through libuv. */
#include "watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t SETTLE_MS = 200;

typedef struct folder {
  uv_fs_event_t event;
  tiny_watch *watch;
  struct folder *next;
  char *path; /* without a slash at its end */
} folder;

struct tiny_watch {
  uv_timer_t settle;
  uv_loop_t *loop;
  void (*changed)(void *data);
  void *data;
  folder *folders;
  char **files;
  size_t count;
};

static void on_settled(uv_timer_t *timer) {
  tiny_watch *w = timer->data;
  w->changed(w->data);
}

tiny_watch *tiny_watch_open(uv_loop_t *loop, void (*changed)(void *), void *data) {
  tiny_watch *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->loop = loop;
  w->changed = changed;
  w->data = data;
  uv_timer_init(loop, &w->settle);
  w->settle.data = w;
  return w;
}

static bool watches(const tiny_watch *w, const char *dir, const char *name) {
  size_t size = strlen(dir);
  for (size_t i = 0; i < w->count; i++) {
    const char *file = w->files[i];
    if (strncmp(file, dir, size) == 0 && file[size] == '/' && strcmp(file + size + 1, name) == 0)
      return true;
  }
  return false;
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
  folder *f = event->data;
  (void)events;
  if (status != 0 || !name || !watches(f->watch, f->path, name)) return;
  uv_timer_start(&f->watch->settle, on_settled, SETTLE_MS, 0);
}

static void on_folder_closed(uv_handle_t *handle) {
  folder *f = handle->data;
  free(f->path);
  free(f);
}

static void forget(tiny_watch *w) {
  while (w->folders) {
    folder *f = w->folders;
    w->folders = f->next;
    uv_close((uv_handle_t *)&f->event, on_folder_closed);
  }
  for (size_t i = 0; i < w->count; i++) free(w->files[i]);
  free(w->files);
  w->files = NULL;
  w->count = 0;
}

static bool has_folder(const tiny_watch *w, const char *path, size_t size) {
  for (folder *f = w->folders; f; f = f->next)
    if (strlen(f->path) == size && memcmp(f->path, path, size) == 0) return true;
  return false;
}

static int add_folder(tiny_watch *w, const char *path, size_t size) {
  if (has_folder(w, path, size)) return 0;
  folder *f = calloc(1, sizeof *f);
  if (f) f->path = strndup(path, size);
  if (!f || !f->path) {
    free(f);
    return -1;
  }
  f->watch = w;
  uv_fs_event_init(w->loop, &f->event);
  f->event.data = f;
  if (uv_fs_event_start(&f->event, on_event, f->path, 0) != 0) {
    uv_close((uv_handle_t *)&f->event, on_folder_closed);
    return -1;
  }
  f->next = w->folders;
  w->folders = f;
  return 0;
}

unsigned tiny_watch_files(tiny_watch *w, const char *const *paths, size_t count) {
  unsigned failed = 0;
  forget(w);
  w->files = calloc(count + 1, sizeof *w->files);
  if (!w->files) return (unsigned)count;
  for (size_t i = 0; i < count; i++) {
    char *path = realpath(paths[i], NULL);
    if (path) w->files[w->count++] = path;
    if (!path || add_folder(w, path, (size_t)(strrchr(path, '/') - path)) != 0) failed++;
  }
  return failed;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

void tiny_watch_close(tiny_watch *w) {
  if (!w) return;
  forget(w);
  uv_close((uv_handle_t *)&w->settle, on_closed);
}
