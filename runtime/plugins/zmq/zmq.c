/* SPDX-License-Identifier: MIT
 * zmq.c -- the "zmq" plugin: all ZeroMQ sockets of a runtime. */
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>

/* Each takes memory at once, whether it is there or not. */
enum { SOCKETS_MAX = 10000 };

static tiny_zmq *start(uv_loop_t *loop) {
  tiny_zmq *all = calloc(1, sizeof *all);
  if (all) all->context = zmq_ctx_new();
  if (!all || !all->context) {
    free(all);
    return NULL;
  }
  zmq_ctx_set(all->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
  all->loop = loop;
  all->last = &all->touched;
  all->handles = 2;
  uv_prepare_init(loop, &all->prepare);
  uv_idle_init(loop, &all->idle);
  all->prepare.data = all->idle.data = all;
  uv_prepare_start(&all->prepare, zmq_ready_on_prepare);
  return all;
}

static void on_closed(uv_handle_t *handle) {
  tiny_zmq *all = handle->data;
  if (--all->handles == 0) free(all);
}

static void stop(tiny_zmq *all) {
  if (all->zap) zmq_sockets_close(all->zap);
  while (zmq_ctx_term(all->context) != 0 && errno == EINTR) continue;
  uv_close((uv_handle_t *)&all->prepare, on_closed);
  uv_close((uv_handle_t *)&all->idle, on_closed);
}

static const char *endpoint(tiny_zmq_socket *s) {
  size_t size = sizeof s->endpoint;
  if (zmq_getsockopt(s->zmq, ZMQ_LAST_ENDPOINT, s->endpoint, &size) != 0) s->endpoint[0] = 0;
  return s->endpoint;
}

static int keypair(char *public_key, char *secret_key) {
  return zmq_curve_keypair(public_key, secret_key) == 0 ? 0 : errno;
}

/* libuv has no names for ZeroMQ's own. */
static const char *describe(int code, const char **name) {
  *name = code == EFSM             ? "EFSM"
          : code == ETERM          ? "ETERM"
          : code == ENOCOMPATPROTO ? "ENOCOMPATPROTO"
                                   : uv_err_name(-code);
  return zmq_strerror(code);
}

__attribute__((visibility("default"))) const tiny_zmq_table tiny_zmq_functions = {
    .start = start,
    .stop = stop,
    .open = zmq_sockets_open,
    .change = zmq_sockets_change,
    .close = zmq_sockets_close,
    .want = zmq_ready_want,
    .send = zmq_message_send,
    .receive = zmq_message_receive,
    .subscribe = zmq_message_subscribe,
    .endpoint = endpoint,
    .keypair = keypair,
    .describe = describe,
};
