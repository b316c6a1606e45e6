/* SPDX-License-Identifier: MIT
 * message.c -- messages of several parts, in and out. */
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int send_part(void *zmq, const tiny_zmq_part *part, int flags) {
  int rc;
  do rc = zmq_send(zmq, part->data, part->size, flags);
  while (rc < 0 && errno == EINTR);
  return rc < 0 ? errno : 0;
}

/* Only the first part can be refused: the others belong to it. */
int zmq_message_send(tiny_zmq_socket *s, const tiny_zmq_part *parts, int count) {
  int rc = 0;
  zmq_ready_touch(s);
  for (int i = 0; i < count && rc == 0; i++)
    rc = send_part(s->zmq, &parts[i], ZMQ_DONTWAIT | (i < count - 1 ? ZMQ_SNDMORE : 0));
  return rc;
}

static int make_room(tiny_zmq_socket *s) {
  if (s->count < s->room) return 0;
  zmq_msg_t **messages = realloc(s->messages, (size_t)(s->room + 1) * sizeof *messages);
  if (messages) s->messages = messages;
  tiny_zmq_part *parts = realloc(s->parts, (size_t)(s->room + 1) * sizeof *parts);
  if (parts) s->parts = parts;
  zmq_msg_t *message = messages && parts ? malloc(sizeof *message) : NULL;
  if (!message) return ENOMEM;
  s->messages[s->room++] = message;
  return 0;
}

static int receive_part(tiny_zmq_socket *s) {
  int rc = make_room(s);
  if (rc != 0) return rc;
  zmq_msg_t *message = s->messages[s->count];
  zmq_msg_init(message);
  do rc = zmq_msg_recv(message, s->zmq, ZMQ_DONTWAIT);
  while (rc < 0 && errno == EINTR);
  if (rc < 0) return errno;
  s->parts[s->count++] = (tiny_zmq_part){zmq_msg_data(message), zmq_msg_size(message)};
  return 0;
}

int zmq_message_receive(tiny_zmq_socket *s, const tiny_zmq_part **parts, int *count) {
  int rc;
  zmq_message_drop(s);
  zmq_ready_touch(s);
  do rc = receive_part(s);
  while (rc == 0 && zmq_msg_more(s->messages[s->count - 1]));
  s->is_drained = rc == EAGAIN;
  *parts = s->parts;
  *count = s->count;
  return rc;
}

void zmq_message_drop(tiny_zmq_socket *s) {
  for (int i = 0; i < s->count; i++) zmq_msg_close(s->messages[i]);
  s->count = 0;
}

void zmq_message_free(tiny_zmq_socket *s) {
  zmq_message_drop(s);
  for (int i = 0; i < s->room; i++) free(s->messages[i]);
  free(s->messages);
  free(s->parts);
}

static int type_of(tiny_zmq_socket *s) {
  int type = -1;
  size_t size = sizeof type;
  return zmq_getsockopt(s->zmq, ZMQ_TYPE, &type, &size) == 0 ? type : -1;
}

/* XSUB subscribes by a message. */
static int send_subscription(tiny_zmq_socket *s, const char *topic, size_t size, bool on) {
  char *frame = malloc(size + 1);
  if (!frame) return ENOMEM;
  frame[0] = on;
  memcpy(frame + 1, topic, size);
  int rc = send_part(s->zmq, &(tiny_zmq_part){frame, size + 1}, ZMQ_DONTWAIT);
  free(frame);
  return rc;
}

int zmq_message_subscribe(tiny_zmq_socket *s, const char *topic, size_t size, bool on) {
  int type = type_of(s), option = on ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE;
  zmq_ready_touch(s);
  if (type == ZMQ_XSUB) return send_subscription(s, topic, size, on);
  if (type != ZMQ_SUB) return ENOTSUP;
  return zmq_setsockopt(s->zmq, option, topic, size) == 0 ? 0 : errno;
}
