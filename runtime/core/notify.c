/* SPDX-License-Identifier: MIT
 * notify.c -- datagrams to the service manager. */
#include "notify.h"

#include "clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct tiny_notify {
  int fd;
  struct sockaddr_un address;
  socklen_t size;
  uint64_t watchdog_ns;
};

static uint64_t number_of(const char *text) { return text ? strtoull(text, NULL, 10) : 0; }

/* WATCHDOG_PID says for whom it is meant, when a shell stands between. */
static uint64_t take_watchdog(void) {
  uint64_t pid = number_of(getenv("WATCHDOG_PID"));
  uint64_t usec = number_of(getenv("WATCHDOG_USEC"));
  unsetenv("WATCHDOG_PID");
  unsetenv("WATCHDOG_USEC");
  return pid == 0 || pid == (uint64_t)getpid() ? usec * 1000 : 0;
}

/* A path, or with @ an abstract name. */
static int take_address(tiny_notify *notify) {
  const char *path = getenv("NOTIFY_SOCKET");
  size_t size = path ? strlen(path) : 0;
  if (size < 2 || size >= sizeof notify->address.sun_path || (*path != '/' && *path != '@'))
    return -1;
  notify->address.sun_family = AF_UNIX;
  memcpy(notify->address.sun_path, path, size);
  if (*path == '@') notify->address.sun_path[0] = 0;
  notify->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
  return 0;
}

tiny_notify *tiny_notify_open(void) {
  tiny_notify *notify = calloc(1, sizeof *notify);
  if (!notify) return NULL;
  notify->watchdog_ns = take_watchdog();
  notify->fd = take_address(notify) == 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
  unsetenv("NOTIFY_SOCKET");
  if (notify->fd >= 0) return notify;
  free(notify);
  return NULL;
}

void tiny_notify_close(tiny_notify *notify) {
  if (!notify) return;
  close(notify->fd);
  free(notify);
}

uint64_t tiny_notify_watchdog_ns(const tiny_notify *notify) {
  return notify ? notify->watchdog_ns : 0;
}

static void send_text(tiny_notify *notify, const char *text) {
  if (!notify) return;
  sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
         (struct sockaddr *)&notify->address, notify->size);
}

/* A line feed in the status would begin another assignment. */
static void send_state(tiny_notify *notify, const char *state, const char *status) {
  char text[512];
  int used =
      snprintf(text, sizeof text, "%s%s%s", state, status ? "STATUS=" : "", status ? status : "");
  size_t from = strlen(state);
  for (size_t i = from; i < sizeof text - 1 && (int)i < used; i++)
    if (text[i] == '\n') text[i] = ' ';
  send_text(notify, text);
}

void tiny_notify_ready(tiny_notify *notify, const char *status) {
  send_state(notify, "READY=1\n", status);
}

void tiny_notify_stopping(tiny_notify *notify, const char *status) {
  send_state(notify, "STOPPING=1\n", status);
}

void tiny_notify_status(tiny_notify *notify, const char *status) { send_state(notify, "", status); }

void tiny_notify_alive(tiny_notify *notify) { send_text(notify, "WATCHDOG=1\n"); }

/* systemd 253 and later waits for ever without the time. */
void tiny_notify_reloading(tiny_notify *notify) {
  char text[96];
  snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
           (unsigned long long)tiny_clock_ns(CLOCK_MONOTONIC) / 1000u);
  send_text(notify, text);
}

void tiny_notify_extend(tiny_notify *notify, uint64_t ms) {
  char text[64];
  snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%llu\n", (unsigned long long)ms * 1000u);
  send_text(notify, text);
}
