/* SPDX-License-Identifier: MIT
 * peers.c -- what tiny is measured with and against.
 *
 *     peers echo ENDPOINT            a ROUTER on libuv that sends back what comes; ends with its stdin
 *     peers drive ENDPOINT N WINDOW  a DEALER that sends N numbered messages, WINDOW of them unanswered
 *                                    at a time, and prints the seconds until all came back in order */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <zmq.h>

enum { BATCH = 64, SIZE = 32, HWM = 10000 }; /* a ROUTER drops what is beyond its mark */

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

/* -- echo ------------------------------------------------------------------- */

static void *router;
static uv_idle_t again;

static int events(void) {
  int state = 0;
  size_t size = sizeof state;
  zmq_getsockopt(router, ZMQ_EVENTS, &state, &size);
  return state & ZMQ_POLLIN;
}

static int echo_one(void) {
  zmq_msg_t id, body;
  zmq_msg_init(&id);
  if (zmq_msg_recv(&id, router, ZMQ_DONTWAIT) < 0) return 0;
  zmq_msg_init(&body);
  if (zmq_msg_recv(&body, router, 0) < 0) die("recv");
  if (zmq_msg_send(&id, router, ZMQ_SNDMORE) < 0 || zmq_msg_send(&body, router, 0) < 0) die("send");
  return 1;
}

static void echo_some(void) {
  for (int i = 0; i < BATCH && echo_one(); i++) continue;
}

static void on_fd(uv_poll_t *poll, int status, int what) {
  (void)poll, (void)status, (void)what;
  if (events()) echo_some();
}

static void on_again(uv_idle_t *idle) {
  uv_idle_stop(idle);
  echo_some();
}

static void on_prepare(uv_prepare_t *prepare) {
  (void)prepare;
  if (events()) uv_idle_start(&again, on_again);
}

static void on_stdin(uv_poll_t *poll, int status, int what) {
  (void)status, (void)what;
  uv_stop(poll->loop);
}

static int echo(const char *endpoint) {
  uv_loop_t *loop = uv_default_loop();
  uv_poll_t poll, input;
  uv_prepare_t prepare;
  int fd, zero = 0, hwm = HWM;
  size_t size = sizeof fd;
  void *context = zmq_ctx_new();
  router = zmq_socket(context, ZMQ_ROUTER);
  zmq_setsockopt(router, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(router, ZMQ_SNDHWM, &hwm, sizeof hwm);
  zmq_setsockopt(router, ZMQ_RCVHWM, &hwm, sizeof hwm);
  if (zmq_bind(router, endpoint) != 0) die(endpoint);
  zmq_getsockopt(router, ZMQ_FD, &fd, &size);
  uv_poll_init(loop, &poll, fd);
  uv_poll_init(loop, &input, 0);
  uv_prepare_init(loop, &prepare);
  uv_idle_init(loop, &again);
  uv_poll_start(&poll, UV_READABLE, on_fd);
  uv_poll_start(&input, UV_READABLE | UV_DISCONNECT, on_stdin);
  uv_prepare_start(&prepare, on_prepare);
  puts("ready");
  fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  zmq_close(router);
  zmq_ctx_term(context);
  return 0;
}

/* -- drive ------------------------------------------------------------------ */

enum { DEALERS = 16 };

typedef struct dealer {
  void *zmq;
  uint64_t sent, got, count; /* of its own */
} dealer;

static void send_number(dealer *d) {
  char text[SIZE] = {0};
  memcpy(text, &d->sent, sizeof d->sent);
  if (zmq_send(d->zmq, text, sizeof text, 0) < 0) die("send");
  d->sent++;
}

/* Returns 0 when there is none. */
static int expect_number(dealer *d, int flags) {
  char text[SIZE];
  uint64_t number = 0;
  int size = zmq_recv(d->zmq, text, sizeof text, flags);
  if (size < 0 && zmq_errno() == EAGAIN && flags) return 0;
  if (size != SIZE) die("recv");
  memcpy(&number, text, sizeof number);
  if (number == d->got++) return 1;
  fprintf(stderr, "%llu came in place of %llu\n", (unsigned long long)number,
          (unsigned long long)d->got - 1);
  exit(1);
}

static void open_dealer(dealer *d, void *context, const char *endpoint) {
  int zero = 0, patience_ms = 30000;
  d->zmq = zmq_socket(context, ZMQ_DEALER);
  zmq_setsockopt(d->zmq, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(d->zmq, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  if (zmq_connect(d->zmq, endpoint) != 0) die(endpoint);
  send_number(d);
  expect_number(d, 0); /* connected */
}

static void turn(dealer *d, uint64_t window) {
  while (expect_number(d, ZMQ_DONTWAIT)) continue;
  while (d->sent < d->count && d->sent < d->got + window) send_number(d);
}

static int drive(const char *endpoint, uint64_t count, uint64_t window) {
  void *context = zmq_ctx_new();
  dealer dealers[DEALERS] = {0};
  zmq_pollitem_t items[DEALERS] = {0};
  for (int i = 0; i < DEALERS; i++) {
    open_dealer(&dealers[i], context, endpoint);
    dealers[i].count = 1 + count / DEALERS;
    items[i] = (zmq_pollitem_t){.socket = dealers[i].zmq, .events = ZMQ_POLLIN};
  }
  uint64_t began = uv_hrtime();
  for (int left = DEALERS; left > 0;) {
    left = 0;
    for (int i = 0; i < DEALERS; i++) {
      turn(&dealers[i], window);
      left += dealers[i].got < dealers[i].count;
    }
    if (left > 0 && zmq_poll(items, DEALERS, 30000) <= 0) die("nothing came");
  }
  printf("%.6f\n", (double)(uv_hrtime() - began) / 1e9);
  for (int i = 0; i < DEALERS; i++) zmq_close(dealers[i].zmq);
  zmq_ctx_term(context);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "echo") == 0) return echo(argv[2]);
  if (argc == 5 && strcmp(argv[1], "drive") == 0)
    return drive(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
  fputs("peers echo ENDPOINT | peers drive ENDPOINT N WINDOW\n", stderr);
  return 2;
}
