/* SPDX-License-Identifier: MIT
 * fuzz_http_conn.c -- a whole HTTP connection, on a real loop and a socket pair: whatever a client
 * sends, its requests and the answers are the same however its bytes are cut, and nothing is left. */
#include "fuzz.h"

#include "http_conn.h"

#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS = 1 << 20, TURNS = 100000, DATE = 29 };

static struct {
  uv_loop_t loop;
  tiny_harbour harbour;
  _Atomic uint64_t connections;
  tiny_activation activation;
  tiny_http *http;
  tiny_http_server server;
  tiny_port *port;
} host;

/* What one connection has seen. */
typedef struct transcript {
  uint64_t requests; /* a hash of all of them */
  size_t size;       /* of the answers */
  char answers[ANSWERS];
} transcript;
static transcript *seen;

/* -- the handler: says what it was asked ------------------------------------- */

static void note_span(tiny_http_conn *c, tiny_http_span span) {
  seen->requests = fuzz_hash(seen->requests, &span.size, sizeof span.size);
  seen->requests = fuzz_hash(seen->requests, tiny_http_request_text(c) + span.at, span.size);
}

static void note_head(tiny_http_conn *c) {
  const tiny_http_head *head = tiny_http_request_head(c);
  note_span(c, head->method);
  note_span(c, head->path);
  note_span(c, head->query);
  for (unsigned i = 0; i < head->count; i++) {
    note_span(c, head->fields[i].name);
    note_span(c, head->fields[i].value);
  }
}

static void note_body(tiny_http_conn *c) {
  size_t size = tiny_buffer_pending(&c->body);
  seen->requests = fuzz_hash(seen->requests, c->body.data + c->body.at, size);
  c->body.at = c->body.size;
}

/* A field that cannot stand in a head is left out: no answer has more lines than it was given. */
static size_t put_path(tiny_http_conn *c, char *fields, size_t room) {
  tiny_http_span path = tiny_http_request_head(c)->path;
  return tiny_http_put_field(fields, room, 0, "X-Path", 6, tiny_http_request_text(c) + path.at,
                             path.size);
}

static void answer(tiny_http_conn *c, int failed) {
  char text[64], fields[4096];
  int size =
      snprintf(text, sizeof text, "%d %016llx\n", failed, (unsigned long long)seen->requests);
  tiny_http_answer reply = {.status = failed ? 400 : 200,
                            .fields = fields,
                            .fields_size = put_path(c, fields, sizeof fields),
                            .body = text,
                            .body_size = (size_t)size,
                            .file = -1};
  if (seen->requests & 1) {
    tiny_http_answer_all(c, &reply);
    return;
  }
  tiny_http_stream_begin(c, &reply);
  tiny_http_stream_write(c, text, (size_t)size);
  tiny_http_stream_end(c);
}

/* Read what there is of the body; at its end, answer. */
static void go_on(tiny_http_conn *c) {
  int rc;
  c->reader = NULL;
  while ((rc = tiny_http_read_body(c, 300)) == 0 && tiny_buffer_pending(&c->body) > 0) note_body(c);
  if (rc == UV_EAGAIN) {
    c->reader = c;
    return;
  }
  answer(c, rc);
  tiny_http_over(c, 500, true);
}

static int begin(tiny_http_server *server, tiny_http_conn *c) {
  (void)server;
  note_head(c);
  go_on(c);
  return 0;
}

static void unexpected(tiny_http_conn *c) { FUZZ_CHECK(c == NULL); }

static const tiny_http_hooks hooks = {go_on, unexpected, unexpected};

/* -- one server for all inputs ------------------------------------------------ */

static void keep(tiny_acceptor *acceptor) { (void)acceptor; }

static void close_all(void) {
  tiny_http_close(host.http);
  tiny_claims_stop(&host.harbour.claims);
  tiny_poller_close(host.harbour.poller);
  uv_run(&host.loop, UV_RUN_DEFAULT);
  FUZZ_CHECK(uv_loop_close(&host.loop) == 0);
}

static void open_all(void) {
  char name[64], why[64];
  tiny_address address;
  tiny_endpoint endpoint;
  int rc = 0;
  FUZZ_CHECK(uv_loop_init(&host.loop) == 0);
  host.harbour = (tiny_harbour){.loop = &host.loop,
                                .poller = tiny_poller_open(&host.loop),
                                .activation = &host.activation,
                                .connections = &host.connections};
  host.http = tiny_http_open(&host.harbour, &hooks);
  host.server = (tiny_http_server){.max_head = 1024,
                                   .max_body = 512,
                                   .idle_ms = UINT32_MAX,
                                   .head_ms = UINT32_MAX,
                                   .body_ms = UINT32_MAX,
                                   .write_ms = UINT32_MAX,
                                   .begin = begin};
  tiny_http_server_init(&host.server, host.http);
  host.server.acceptor.refs = 1;
  host.server.acceptor.limit = 8;
  host.server.acceptor.free = keep;
  snprintf(name, sizeof name, "unix:@tiny-fuzz-%d", (int)getpid());
  FUZZ_CHECK(tiny_address_parse(name, &address, why, sizeof why) == 0);
  FUZZ_CHECK(tiny_address_literal(&address, &endpoint));
  host.port = tiny_port_listen(&host.harbour, &endpoint, 8, 1, &host.server.acceptor, &rc);
  FUZZ_CHECK(host.port != NULL);
  atexit(close_all);
}

/* -- a client ----------------------------------------------------------------- */

static void turn(int fd) {
  uv_run(&host.loop, UV_RUN_NOWAIT);
  ssize_t got = recv(fd, seen->answers + seen->size, ANSWERS - seen->size, MSG_DONTWAIT);
  if (got > 0) seen->size += (size_t)got;
}

/* The server may have closed by then. */
static void send_piece(int fd, const uint8_t *data, size_t size) {
  FUZZ_CHECK(size == 0 || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size ||
             host.connections == 0);
  for (int i = 0; i < 3; i++) turn(fd);
}

static int connect_to(void) {
  int pair[2];
  tiny_endpoint peer = {.size = 0};
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
  tiny_http_accept(&host.server.acceptor, host.port, pair[1], &peer);
  return pair[0];
}

/* The answers' dates are not the same from one second to the next. */
static void blank_dates(transcript *t) {
  char *at = t->answers, *end = t->answers + t->size;
  while ((at = memmem(at, (size_t)(end - at), "\r\nDate: ", 8))) {
    at += 8;
    if (end - at >= DATE) memset(at, '-', DATE);
  }
}

static void converse(const uint8_t *data, size_t size, fuzz_cuts *cuts, transcript *t) {
  seen = t;
  t->requests = FUZZ_HASH;
  t->size = 0;
  int fd = connect_to();
  while (size > 0) {
    size_t piece = cuts ? fuzz_cut(cuts, size) : size;
    send_piece(fd, data, piece);
    data += piece;
    size -= piece;
  }
  shutdown(fd, SHUT_WR);
  for (int i = 0; host.connections > 0; i++) {
    FUZZ_CHECK(i < TURNS);
    turn(fd);
  }
  turn(fd);
  close(fd);
  blank_dates(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static transcript whole, cut;
  if (!host.http) open_all();
  fuzz_cuts cuts = fuzz_cuts_take(&data, &size);
  if (size > 64 * 1024) return 0; /* all of it fits into the socket */
  converse(data, size, NULL, &whole);
  converse(data, size, &cuts, &cut);
  FUZZ_CHECK(whole.requests == cut.requests);
  FUZZ_CHECK(whole.size == cut.size && memcmp(whole.answers, cut.answers, cut.size) == 0);
  return 0;
}
