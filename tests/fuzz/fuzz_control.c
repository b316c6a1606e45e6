/* SPDX-License-Identifier: MIT
 * fuzz_control.c -- requests to the control socket: whatever line comes, in whatever pieces, it gets
 * one answer, a JSON object, and then the end. The control thread is a real one; what it asks
 * of the loop thread is answered here. */
#include "fuzz.h"

#include "control.h"
#include "unix_address.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 1 << 20, PATIENCE_S = 20 };

static struct {
  char folder[64], socket[96];
  uv_loop_t loop;
  tiny_conf *conf;
  tiny_log *log;
  tiny_state state;
  tiny_inbox *inbox;
  tiny_control *control;
  tiny_control_parts parts;
} server;

static void take(void *data, tiny_ask *ask) {
  (void)data;
  tiny_ask_done(ask, ask->kind != TINY_ASK_RELOAD, ask->text ? ask->text : "done");
}

static void end(void *data, int code) {
  (void)data, (void)code;
  FUZZ_CHECK(!"the process would have ended");
}

static void nothing(void *data) { (void)data; }

static void open_control(void) {
  char why[512] = "";
  tiny_state_init(&server.state, server.log);
  tiny_state_conf(&server.state, server.conf);
  server.inbox = tiny_inbox_open(&server.loop, take, NULL);
  server.parts = (tiny_control_parts){.state = &server.state,
                                      .log = server.log,
                                      .inbox = server.inbox,
                                      .end = end,
                                      .overdue = nothing};
  server.control = tiny_control_open(&server.parts, why, sizeof why);
  FUZZ_CHECK(server.control != NULL);
  FUZZ_CHECK(tiny_control_listen(server.control, server.conf, why, sizeof why) == 0);
}

static void close_control(void) {
  tiny_control_close(server.control, false);
  tiny_inbox_close(server.inbox);
  uv_run(&server.loop, UV_RUN_DEFAULT);
  tiny_inbox_free(server.inbox);
  tiny_state_fini(&server.state);
}

static void close_all(void) {
  close_control();
  FUZZ_CHECK(uv_loop_close(&server.loop) == 0);
  tiny_log_close(server.log, 1000);
  tiny_conf_drop(server.conf);
  rmdir(server.folder);
}

static void open_all(void) {
  char why[512] = "";
  strcpy(server.folder, "/tmp/tiny-fuzz-XXXXXX");
  FUZZ_CHECK(mkdtemp(server.folder) != NULL);
  snprintf(server.socket, sizeof server.socket, "%s/fuzz.sock", server.folder);
  server.conf = tiny_conf_new(json_pack("{s:s,s:s,s:i,s:i}", "svr.name", "fuzz", "svr.run_dir",
                                        server.folder, "svr.close.force_close_delay", 1000000,
                                        "svr.close.wait_lock_delay", 1000000),
                              "conf.lua");
  server.log = tiny_log_open();
  tiny_log_mute(server.log);
  FUZZ_CHECK(tiny_log_configure(server.log, server.conf, why, sizeof why) == 0);
  FUZZ_CHECK(uv_loop_init(&server.loop) == 0);
  open_control();
  atexit(close_all);
}

/* -- a client ---------------------------------------------------------------- */

static int connect_to(void) {
  struct sockaddr_un address;
  int folder, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  FUZZ_CHECK(tiny_unix_address(server.socket, &address, &folder) == 0);
  FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
  return fd;
}

/* A request that is refused for its length is not read to its end. */
static void send_all(int fd, const uint8_t *data, size_t size, fuzz_cuts cuts) {
  while (size > 0) {
    size_t piece = fuzz_cut(&cuts, size);
    if (send(fd, data, piece, MSG_NOSIGNAL) != (ssize_t)piece) return;
    data += piece;
    size -= piece;
  }
}

static bool readable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  uv_run(&server.loop, UV_RUN_NOWAIT);
  return poll(&poll_fd, 1, 1) > 0;
}

/* Reads to the end. Returns the size of the answer. */
static size_t receive(int fd, char *answer) {
  time_t by = time(NULL) + PATIENCE_S;
  size_t size = 0;
  for (;;) {
    FUZZ_CHECK(time(NULL) < by);
    if (!readable(fd)) continue;
    ssize_t got = recv(fd, answer + size, ANSWER - size, 0);
    if (got <= 0) return size; /* it is reset when bytes were left unread */
    size += (size_t)got;
  }
}

static void check_answer(int fd) {
  static char answer[ANSWER];
  size_t size = receive(fd, answer);
  FUZZ_CHECK(size > 0 && memchr(answer, '\n', size) == answer + size - 1);
  json_t *object = json_loadb(answer, size, 0, NULL);
  FUZZ_CHECK(json_is_boolean(json_object_get(object, "ok")));
  json_decref(object);
}

/* Who asks for the closing waits until it is over. */
static bool asks_to_close(const uint8_t *data, size_t size) {
  json_t *request = json_loadb((const char *)data, size, 0, NULL);
  const char *what = json_string_value(json_object_get(request, "do"));
  bool closes = what && strcmp(what, "close") == 0;
  json_decref(request);
  return closes;
}

static void await_closing(void) {
  while (atomic_load(&server.state.phase) != TINY_CLOSING) uv_run(&server.loop, UV_RUN_NOWAIT);
  close_control();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!server.control) open_all();
  fuzz_cuts cuts = fuzz_cuts_take(&data, &size);
  const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
  bool closes = line_end && asks_to_close(data, (size_t)(line_end - data));
  int fd = connect_to();
  send_all(fd, data, size, cuts);
  if (closes) await_closing();
  if (line_end) check_answer(fd);
  close(fd);
  if (closes) open_control();
  return 0;
}
