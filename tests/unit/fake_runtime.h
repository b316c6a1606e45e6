/* SPDX-License-Identifier: MIT
 * fake_runtime.h -- a loop thread that answers asks, with a real control thread beside it,
 * and a client of its socket. */
#ifndef TINY_FAKE_RUNTIME_H
#define TINY_FAKE_RUNTIME_H

#include "control.h"
#include "unix_address.h"

#include <check.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fake_runtime {
  char folder[512], socket[600], file[600];
  bool signals;       /* set before start */
  double force, wait; /* the conf's delays; 0: 60 s and 1 s */
  _Atomic int reloads, evals, closes, ends, stacks, overdues;
  _Atomic int end_code;
  _Atomic bool refuse; /* what becomes of reloads */
  tiny_log *log;
  tiny_state state;
  tiny_inbox *inbox;
  tiny_control *control;
  sem_t ready, let_go;
  uv_loop_t loop;
  pthread_t thread;
  bool stopped, forced;
} fake_runtime;

static fake_runtime fake;

static void fake_stop(tiny_ask *ask) {
  (void)ask;
  fake.stopped = true;
}

/* The loop thread is away, as when Lua runs, until fake_let_go(). */
static void fake_block(tiny_ask *ask) {
  (void)ask;
  atomic_store(&fake.state.busy_since, uv_hrtime());
  sem_post(&fake.ready);
  while (sem_wait(&fake.let_go) != 0) {}
  atomic_store(&fake.state.busy_since, 0);
}

static void fake_take(void *data, tiny_ask *ask) {
  bool ok = true;
  const char *text = "closing";
  (void)data;
  if (ask->kind == TINY_ASK_CALL) ask->call(ask);
  if (ask->kind == TINY_ASK_CLOSE) atomic_fetch_add(&fake.closes, 1);
  if (ask->kind == TINY_ASK_EVAL) {
    atomic_fetch_add(&fake.evals, 1);
    text = ask->text;
  }
  if (ask->kind == TINY_ASK_RELOAD) {
    atomic_fetch_add(&fake.reloads, 1);
    ok = !atomic_load(&fake.refuse);
    text =
        ok ? "reloaded: generation 7, pause 0.8 ms" : "refused: x.lua:1: bad; generation 6 goes on";
  }
  tiny_ask_done(ask, ok, text);
}

static void fake_end(void *data, int code) {
  (void)data;
  atomic_store(&fake.end_code, code);
  atomic_fetch_add(&fake.ends, 1);
}

static void fake_stack(void *data) {
  (void)data;
  atomic_fetch_add(&fake.stacks, 1);
}

static void fake_overdue(void *data) {
  (void)data;
  atomic_fetch_add(&fake.overdues, 1);
}

static tiny_conf *fake_conf(void) {
  return tiny_conf_new(json_pack("{s:s,s:s,s:f,s:f}", "svr.name", "fake", "svr.run_dir",
                                 fake.folder, "svr.close.force_close_delay",
                                 fake.force ? fake.force : 60.0, "svr.close.wait_lock_delay",
                                 fake.wait ? fake.wait : 1.0),
                       fake.file);
}

static void fake_open(void) {
  char why[512] = "";
  tiny_conf *conf = fake_conf();
  fake.log = tiny_log_open();
  tiny_state_init(&fake.state, fake.log);
  tiny_state_conf(&fake.state, conf);
  ck_assert_int_eq(uv_loop_init(&fake.loop), 0);
  fake.inbox = tiny_inbox_open(&fake.loop, fake_take, NULL);
  tiny_control_parts parts = {.state = &fake.state,
                              .log = fake.log,
                              .inbox = fake.inbox,
                              .signals = fake.signals,
                              .end = fake_end,
                              .stack = fake_stack,
                              .overdue = fake_overdue};
  fake.control = tiny_control_open(&parts, why, sizeof why);
  ck_assert_msg(fake.control != NULL, "%s", why);
  ck_assert_msg(tiny_control_listen(fake.control, conf, why, sizeof why) == 0, "%s", why);
  tiny_conf_drop(conf);
}

/* That the loop closes and the folder can be removed shows that nothing was left. */
static void fake_close(void) {
  tiny_control_close(fake.control, fake.forced);
  tiny_inbox_close(fake.inbox);
  uv_run(&fake.loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&fake.loop), 0);
  tiny_inbox_free(fake.inbox);
  tiny_state_fini(&fake.state);
  tiny_log_close(fake.log, 1000);
}

static void *fake_run(void *data) {
  (void)data;
  fake_open();
  sem_post(&fake.ready);
  while (!fake.stopped) uv_run(&fake.loop, UV_RUN_ONCE);
  fake_close();
  return NULL;
}

static void fake_place(const char *folder) {
  snprintf(fake.folder, sizeof fake.folder, "%s", folder);
  snprintf(fake.socket, sizeof fake.socket, "%s/fake.sock", folder);
  snprintf(fake.file, sizeof fake.file, "%s/conf.lua", folder);
}

static void fake_setup(void) {
  char folder[] = "/tmp/tiny-control-XXXXXX";
  memset(&fake, 0, sizeof fake);
  ck_assert_ptr_nonnull(mkdtemp(folder));
  fake_place(folder);
  sem_init(&fake.ready, 0, 0);
  sem_init(&fake.let_go, 0, 0);
}

static void fake_start(void) {
  ck_assert_int_eq(pthread_create(&fake.thread, NULL, fake_run, NULL), 0);
  while (sem_wait(&fake.ready) != 0) {}
}

static void fake_call(void (*call)(tiny_ask *ask)) {
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  ask->call = call;
  tiny_inbox_post(fake.inbox, ask);
}

static void fake_keep_busy(void) {
  fake_call(fake_block);
  while (sem_wait(&fake.ready) != 0) {}
}

static void fake_let_go(void) { sem_post(&fake.let_go); }

static void fake_end_loop(void) {
  fake_call(fake_stop);
  pthread_join(fake.thread, NULL);
}

static void fake_teardown(void) {
  ck_assert_int_eq(rmdir(fake.folder), 0);
  sem_destroy(&fake.ready);
  sem_destroy(&fake.let_go);
}

/* Waits until 'counter' has reached 'n', for a minute at the longest. */
static inline void fake_await(_Atomic int *counter, int n) {
  for (int i = 0; i < 60000 && atomic_load(counter) < n; i++) usleep(1000);
  ck_assert_int_ge(atomic_load(counter), n);
}

/* -- a client ---------------------------------------------------------------- */

static int client_connect(void) {
  struct sockaddr_un address;
  int folder, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval minute = {60, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
  ck_assert_int_eq(tiny_unix_address(fake.socket, &address, &folder), 0);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  if (folder >= 0) close(folder);
  return fd;
}

static void client_send(int fd, const char *text, size_t size) {
  ck_assert_int_eq(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Reads to the end, closes, and returns the answer; NULL when there was none. */
static json_t *client_answer(int fd) {
  FILE *stream = fdopen(fd, "r");
  char *line = NULL;
  size_t size = 0;
  ssize_t length = getline(&line, &size, stream);
  if (length > 0) ck_assert_int_eq(fgetc(stream), EOF);
  json_t *answer = length > 0 ? json_loadb(line, (size_t)length, 0, NULL) : NULL;
  fclose(stream);
  free(line);
  return answer;
}

static int client_ask(const char *request) {
  int fd = client_connect();
  client_send(fd, request, strlen(request));
  send(fd, "\n", 1, MSG_NOSIGNAL); /* one that is too long may have been refused by now */
  return fd;
}

static void check_answer(json_t *answer, bool ok, const char *text) {
  ck_assert_ptr_nonnull(answer);
  const char *said = json_string_value(json_object_get(answer, "text"));
  ck_assert_ptr_nonnull(said);
  ck_assert_msg(strstr(said, text) != NULL, "\"%s\" does not hold \"%s\"", said, text);
  ck_assert(json_is_true(json_object_get(answer, "ok")) == ok);
  json_decref(answer);
}

/* Ask, and expect an answer whose text holds 'text'. */
static void exchange(const char *request, bool ok, const char *text) {
  check_answer(client_answer(client_ask(request)), ok, text);
}

static void check_serves(void) {
  json_t *answer = client_answer(client_ask("{\"do\":\"status\"}"));
  ck_assert(json_is_true(json_object_get(answer, "ok")));
  const json_t *info = json_object_get(answer, "info");
  ck_assert_str_eq(json_string_value(json_object_get(info, "name")), "fake");
  json_decref(answer);
}

#endif
