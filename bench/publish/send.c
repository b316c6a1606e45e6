/* SPDX-License-Identifier: MIT
 * send.c -- the limit: two frames sent on a ZeroMQ PUB socket that nobody subscribes to. Prints the
 * CPU ns of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { TIMES = 1000000 };

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void) {
  static char message[1500];
  void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PUB);
  if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0) return 1;
  double began = cpu_ns();
  for (int i = 0; i < TIMES; i++) {
    zmq_send(socket, "tiny.bench", strlen("tiny.bench"), ZMQ_SNDMORE);
    zmq_send(socket, message, sizeof message, 0);
  }
  printf("%.0f\n", (cpu_ns() - began) / TIMES);
  zmq_close(socket);
  return zmq_ctx_term(context);
}
