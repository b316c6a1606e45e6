/* SPDX-License-Identifier: MIT
 * http_conn.h -- what the files of http.h share among themselves. */
#ifndef TINY_HTTP_CONN_H
#define TINY_HTTP_CONN_H

#include "http.h"

enum {
  TINY_HTTP_SCRATCH = 64 * 1024, /* answers up to that size go out in one piece */
  TINY_HTTP_MARK = 64 * 1024     /* so many bytes renew a deadline: slower than that is too slow */
};

typedef struct tiny_http_request tiny_http_request;
struct tiny_http_request {
  tiny_http_request *next; /* among the spare ones */
  char *text;              /* the head's bytes */
  size_t room;
  tiny_http_head head;
};

typedef struct tiny_http_slot {
  tiny_http_conn *conn; /* NULL: free */
  uint32_t next_free;
} tiny_http_slot;

struct tiny_http {
  tiny_harbour *harbour;
  const tiny_http_hooks *hooks;
  tiny_http_conn *conns;
  tiny_http_conn *kicked, *waiting;
  tiny_http_slot *slots;
  uint32_t slot_count, free_slot; /* first free one; slot_count: none */
  uint64_t serial;
  tiny_http_request *spare;
  unsigned spares;
  uv_idle_t idle;    /* active while someone is to be run */
  uv_timer_t sweep;  /* fires when the first deadline may have come */
  uint64_t sweep_ms; /* when that is; 0: not armed */
  int handles;       /* whose close callback is owed */
  bool flows, stops;
  tiny_http_date date;
  char scratch[TINY_HTTP_SCRATCH];
};

/* -- http.c: the set of all */
void tiny_http_kick(tiny_http_conn *conn);                 /* run it in the next turn */
void tiny_http_due(tiny_http_conn *conn, uint32_t ms);     /* it expires then; 0: never */
int tiny_http_list(tiny_http *http, tiny_http_conn *conn); /* 0, or UV_ENOMEM */
void tiny_http_unlist(tiny_http_conn *conn);
void tiny_http_wait(tiny_http_conn *conn); /* until requests may begin */
tiny_http_request *tiny_http_request_new(tiny_http *http,
                                         size_t size); /* NULL when out of memory */
void tiny_http_request_free(tiny_http *http, tiny_http_request *request);

/* -- http_conn.c: one connection */
const tiny_http_server *tiny_http_settings(const tiny_http_conn *conn); /* of whoever serves now */
bool tiny_http_refuse(tiny_http_conn *conn, int status); /* answer, and close. Returns true. */
void tiny_http_run(tiny_http_conn *conn);    /* as far as it goes. Top of a turn only. */
void tiny_http_expire(tiny_http_conn *conn); /* its deadline has passed */
void tiny_http_end(tiny_http_conn *conn);    /* close it; frees it unless it is busy */
void tiny_http_drop(tiny_http_conn *conn);
tiny_http_server *
tiny_http_server_of(const tiny_http_conn *conn); /* NULL when its port is closed */
void tiny_http_accept(tiny_acceptor *acceptor, tiny_port *port, int fd, const tiny_endpoint *peer);

/* -- http_body.c: what comes after the head */
bool tiny_http_step_body(tiny_http_conn *conn); /* a step of TINY_HTTP_BODY */

/* -- http_events.c */
void tiny_http_events_free(tiny_http_conn *conn);

/* -- http_out.c: what is sent */
int tiny_http_flush(tiny_http_conn *conn);     /* 0 when all is out, UV_EAGAIN, or why not */
void tiny_http_continue(tiny_http_conn *conn); /* the client may send the body */

#endif
