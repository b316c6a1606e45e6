/* SPDX-License-Identifier: MIT
 * http.h -- HTTP/1.x server connections: they belong to the runtime; each request goes to
 * whoever serves on their port when it begins. Loop thread only.
 *
 * A request is begun by its server's begin(), with its head read and its body too, unless that
 * is larger than max_body. Whoever handles it answers with one reply or a stream of pieces,
 * and says when it is over: tiny_http_over(). None of these calls begins another request,
 * so that Lua may call them; tiny_http_over() is the one that may not be called by Lua. */
#ifndef TINY_HTTP_H
#define TINY_HTTP_H

#include "buffer.h"
#include "http_chunks.h"
#include "http_head.h"
#include "http_reply.h"
#include "port.h"
#include "stream.h"

typedef struct tiny_http_conn tiny_http_conn;

/* Who serves: the acceptor of a port. */
typedef struct tiny_http_server tiny_http_server;
struct tiny_http_server {
  tiny_acceptor acceptor; /* first; made by tiny_http_server_init() */
  size_t max_head, max_body;
  uint32_t idle_ms, head_ms, body_ms, write_ms;
  bool watches; /* hooks->gone is called for clients that leave while they wait */
  /* Handle conn's request. Returns 0, or -1 when it cannot even begin. */
  int (*begin)(tiny_http_server *server, tiny_http_conn *conn);
  /* Go on with a stream of events that has a name, if it was begun by another server. NULL: never. */
  void (*carry)(tiny_http_server *server, tiny_http_conn *conn);
};

/* Told to whoever handles a request, at the top of a turn of the loop. */
typedef struct tiny_http_hooks {
  void (*readable)(tiny_http_conn *conn); /* more of the body may be there */
  void (*writable)(tiny_http_conn *conn); /* what was written has gone out */
  void (*gone)(tiny_http_conn *conn);     /* the client has left */
} tiny_http_hooks;

typedef enum tiny_http_phase {
  TINY_HTTP_HEAD,   /* between requests, or reading one's head */
  TINY_HTTP_BODY,   /* reading its body */
  TINY_HTTP_READY,  /* it waits until requests may begin */
  TINY_HTTP_BUSY,   /* it is being handled */
  TINY_HTTP_FLUSH,  /* over, but for the end of the answer */
  TINY_HTTP_LINGER, /* closing: the client may still be sending */
  TINY_HTTP_CLOSED
} tiny_http_phase;

/* An answer of server-sent events, beside its being a stream. */
typedef struct tiny_http_events {
  char *name;        /* by which another server may go on with it; NULL: none does */
  char *last_id;     /* of the last event that had one, or NULL */
  uint32_t retry_ms; /* when the client is to come again */
} tiny_http_events;

struct tiny_http_conn {
  tiny_stream stream; /* first */
  struct tiny_http *http;
  tiny_http_conn *prev, *next; /* all of them */
  tiny_http_conn *later;       /* to be run, or waiting */
  tiny_port *port;
  tiny_endpoint remote;
  unsigned refs;
  uint32_t slot; /* its place in the runtime's table */
  tiny_http_phase phase;
  bool running, kicked;
  uint64_t deadline_ms; /* by uv_now(); 0 is none */
  uint64_t mark;        /* bytes that renew it */

  uint64_t serial; /* of the request, in the runtime */
  tiny_http_scan scan;
  struct tiny_http_request *request; /* its head; NULL between requests */
  tiny_chunks chunks;
  uint64_t left;         /* of the body, when its length is known */
  bool body_over, large; /* it was begun before its body was read */
  tiny_buffer body;      /* read and not yet taken */

  bool replied, streams, chunked, mute; /* mute: the body of an answer to HEAD is not sent */
  bool close;                           /* after this answer */
  int failed;                           /* why nothing more can be sent, a negative UV code; 0 */
  tiny_buffer out;
  int file; /* to be sent after 'out'; -1 */
  off_t file_at;
  uint64_t file_left;

  tiny_http_events *events; /* NULL: it does not stream any */

  void *owner, *reader, *writer; /* the handler's own */
};

typedef struct tiny_http tiny_http;

/* Returns NULL when out of memory. */
tiny_http *tiny_http_open(tiny_harbour *harbour, const tiny_http_hooks *hooks);

/* Close all connections; none is busy. Frees in the handles' close callbacks. NULL is allowed. */
void tiny_http_close(tiny_http *http);

/* Let requests begin, or have them wait. */
void tiny_http_flow(tiny_http *http, bool flows);

/* The server closes: idle connections are closed now, the others after their answer. */
void tiny_http_stop(tiny_http *http);

/* Whether answers are still on their way out. */
bool tiny_http_is_sending(const tiny_http *http);

/* Fill in what makes it an HTTP server; the caller sets the rest, acceptor.free and .refs included. */
void tiny_http_server_init(tiny_http_server *server, tiny_http *http);

/* -- the request of a busy connection */

/* The busy connection whose request has that serial; NULL when it is over. */
tiny_http_conn *tiny_http_busy(tiny_http *http, uint32_t slot, uint64_t serial);

const tiny_http_head *tiny_http_request_head(const tiny_http_conn *conn);
const char *tiny_http_request_text(const tiny_http_conn *conn); /* that the head's spans are of */

/* Have at least one byte in conn->body, or its end: returns 0, UV_EAGAIN, UV_EOF when the client left, UV_EPROTO
 * for bad chunks, UV_EBUSY once it was answered. At most 'most' bytes pile up. */
int tiny_http_read_body(tiny_http_conn *conn, size_t most);

/* All of it; takes the descriptor of a file over, -1 is none. Whatever does not go out at once
 * is kept. Returns 0, or a negative UV code when the client is gone. */
typedef struct tiny_http_answer {
  int status;
  const char *fields;
  size_t fields_size;
  const char *body;
  size_t body_size;
  int file;
  uint64_t file_size;
} tiny_http_answer;
int tiny_http_answer_all(tiny_http_conn *conn, const tiny_http_answer *answer);

/* Begin an answer that comes in pieces; 'body' and 'file' of it mean nothing. */
int tiny_http_stream_begin(tiny_http_conn *conn, const tiny_http_answer *answer);

/* A piece: returns 0, UV_EAGAIN when too much waits already (nothing of it was taken then), or why
 * nothing more can be sent. */
int tiny_http_stream_write(tiny_http_conn *conn, const char *data, size_t size);
int tiny_http_stream_end(tiny_http_conn *conn);

/* -- server-sent events (http_events.c) */

/* The stream that has begun is one of events. Returns 0 or UV_ENOMEM. */
int tiny_http_events_begin(tiny_http_conn *conn, const char *name);

/* Note what was sent: an event with that id, or out of memory none; when the client is to come again. */
void tiny_http_events_sent(tiny_http_conn *conn, const char *id);
void tiny_http_events_retry(tiny_http_conn *conn, uint32_t ms);

/* End the stream in the midst of it, but not of an event: the client is told when to come again. */
void tiny_http_events_end(tiny_http_conn *conn);

/* End all of them like that, and tell their handlers that the client is gone. */
void tiny_http_events_end_all(tiny_http *http);

/* Offer streams that have a name to whoever serves on their ports now. */
void tiny_http_events_carry(tiny_http *http);

/* Its request gets another number: who knows it by the former cannot use it any longer. */
void tiny_http_renumber(tiny_http_conn *conn);

/* -- the end of a request */

/* Its handler has ended. What was not answered is answered with 'status'; a stream that did not end
 * ends the connection. Goes on to the next request, at once if 'now': not to be called by Lua then. */
void tiny_http_over(tiny_http_conn *conn, int status, bool now);

#endif
