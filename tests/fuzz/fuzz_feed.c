/* SPDX-License-Identifier: MIT
 * fuzz_feed.c -- ZeroMQ frames that strangers send: subscriptions to the feed, requests for
 * who may connect (ZAP), and messages that `tiny top` receives. libzmq's part is played by a few
 * functions here, so that any frames come, and any number of them. */
#include "fuzz.h"

#include "feed/zap.h"
#include "publisher.h"
#include "subscriber.h"
#include "tiny.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

/* -- libzmq: one queue of frames for all sockets ------------------------------- */

/* Each frame is its length, with the highest bit set when more follow, and its bytes. */
static const uint8_t *frames, *frames_end;
static bool more_follow;
static int socket_fd = -1, sent_parts;
static bool allowed; /* any of those who asked */

static bool next_frame(const uint8_t **bytes, size_t *size) {
  if (frames >= frames_end) {
    more_follow = false;
    return false;
  }
  size_t left = (size_t)(frames_end - frames) - 1, wanted = *frames & 127;
  more_follow = *frames & 128 && left > wanted;
  *size = wanted < left ? wanted : left;
  *bytes = frames + 1;
  frames += 1 + *size;
  return true;
}

int zmq_recv(void *s, void *to, size_t room, int flags) {
  const uint8_t *bytes;
  size_t size;
  (void)s, (void)flags;
  if (!next_frame(&bytes, &size)) {
    errno = EAGAIN;
    return -1;
  }
  memcpy(to, bytes, size < room ? size : room);
  return (int)size;
}

int zmq_msg_init(zmq_msg_t *message) {
  memset(message, 0, sizeof *message);
  return 0;
}

/* The message's own bytes hold where the frame is. */
typedef struct held {
  char *bytes;
  size_t size;
  int more;
} held;

int zmq_msg_recv(zmq_msg_t *message, void *s, int flags) {
  const uint8_t *bytes;
  held *h = (held *)message;
  (void)s, (void)flags;
  if (!next_frame(&bytes, &h->size)) {
    errno = EAGAIN;
    return -1;
  }
  h->bytes = fuzz_copy(bytes, h->size);
  h->more = more_follow;
  return (int)h->size;
}

int zmq_msg_close(zmq_msg_t *message) {
  free(((held *)message)->bytes);
  return 0;
}

void *zmq_msg_data(zmq_msg_t *message) { return ((held *)message)->bytes; }
size_t zmq_msg_size(const zmq_msg_t *message) { return ((const held *)message)->size; }
int zmq_msg_more(const zmq_msg_t *message) { return ((const held *)message)->more; }

int zmq_getsockopt(void *s, int option, void *value, size_t *size) {
  (void)s, (void)size;
  *(int *)value = option == ZMQ_FD ? socket_fd : option == ZMQ_RCVMORE ? more_follow : 0;
  return 0;
}

int zmq_send(void *s, const void *bytes, size_t size, int flags) {
  (void)s;
  sent_parts++;
  if (sent_parts == 3 && size == 3 && memcmp(bytes, "200", 3) == 0) allowed = true;
  if (!(flags & ZMQ_SNDMORE)) sent_parts = 0;
  return (int)size;
}

static char some_socket;
void *zmq_ctx_new(void) { return &some_socket; }
int zmq_ctx_term(void *context) { return context ? 0 : -1; }
int zmq_ctx_set(void *context, int option, int value) { return context && option && value ? 0 : 0; }
void *zmq_socket(void *context, int type) { return type ? context : NULL; }
int zmq_close(void *s) { return s ? 0 : -1; }
int zmq_bind(void *s, const char *address) { return s && address ? 0 : -1; }
int zmq_unbind(void *s, const char *address) { return s && address ? 0 : -1; }
int zmq_connect(void *s, const char *address) { return s && address ? 0 : -1; }
int zmq_setsockopt(void *s, int option, const void *value, size_t size) {
  return s && option >= 0 && value && size ? 0 : -1;
}
int zmq_errno(void) { return errno; }
const char *zmq_strerror(int error) { return strerror(error); }

/* Any key is the byte 1 throughout. */
uint8_t *zmq_z85_decode(uint8_t *to, const char *text) {
  (void)text;
  return memset(to, 1, 32);
}

/* -- who takes the frames ------------------------------------------------------ */

static uv_loop_t loop;
static unsigned joins;
static size_t received;

static void joined(void *data) {
  (void)data;
  joins++;
}

static void say(void *data, tiny_level level, const char *text) {
  FUZZ_CHECK(data == NULL && level <= TINY_ERROR);
  FUZZ_CHECK(strnlen(text, 1024) < 1024);
}

static void on_message(void *data, const char *topic, const char *text, size_t size) {
  FUZZ_CHECK(data == NULL);
  received += strlen(topic) + size + (text[size] == 0);
}

static tiny_publisher_parts parts = {
    .loop = &loop, .topic = "tiny.demo", .joined = joined, .say = say};

static void feed_frames(const uint8_t *data, size_t size) {
  frames = data;
  frames_end = data + size;
  more_follow = false;
  sent_parts = 0;
}

static void publish(const uint8_t *data, size_t size) {
  char why[256] = "";
  feed_frames(data, size);
  joins = 0;
  tiny_publisher *publisher = tiny_feed_publisher.open(&parts, why, sizeof why);
  FUZZ_CHECK(publisher != NULL);
  while (frames < frames_end) uv_run(&loop, UV_RUN_NOWAIT);
  uv_run(&loop, UV_RUN_NOWAIT); /* that there are no more is seen by then */
  FUZZ_CHECK(!tiny_feed_publisher.is_heard(publisher) || joins > 0);
  tiny_feed_publisher.close(publisher);
  uv_run(&loop, UV_RUN_DEFAULT);
}

/* Each request gets its reply; who is let in has given the key. */
static void let_in(const uint8_t *data, size_t size) {
  uint8_t key[32];
  memset(key, 1, sizeof key);
  json_t *keys = json_pack("[s]", "0123456789012345678901234567890123456789");
  allowed = false;
  feed_frames(data, size);
  tiny_zap *zap = tiny_zap_open(&some_socket, &parts, keys);
  FUZZ_CHECK(zap != NULL);
  for (int i = 0; frames < frames_end && i < 100; i++) uv_run(&loop, UV_RUN_NOWAIT);
  FUZZ_CHECK(sent_parts == 0);
  FUZZ_CHECK(!allowed || memmem(data, size, key, sizeof key) != NULL);
  tiny_zap_close(zap);
  uv_run(&loop, UV_RUN_DEFAULT);
  json_decref(keys);
}

static void subscribe(const uint8_t *data, size_t size) {
  char why[256] = "";
  tiny_subscriber *subscriber = tiny_feed_subscriber.open(&loop, 4, why, sizeof why);
  FUZZ_CHECK(subscriber != NULL);
  feed_frames(data, size);
  FUZZ_CHECK(tiny_feed_subscriber.add(subscriber, "tcp://[::1]:5558", NULL, on_message, NULL, why,
                                      sizeof why) == 0);
  while (frames < frames_end) uv_run(&loop, UV_RUN_NOWAIT);
  tiny_feed_subscriber.close(subscriber);
  uv_run(&loop, UV_RUN_DEFAULT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  FUZZ_CHECK(uv_loop_init(&loop) == 0);
  socket_fd = eventfd(1, EFD_CLOEXEC);
  publish(data, size);
  let_in(data, size);
  subscribe(data, size);
  FUZZ_CHECK(uv_loop_close(&loop) == 0);
  close(socket_fd);
  return 0;
}
