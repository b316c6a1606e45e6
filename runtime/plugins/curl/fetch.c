/* SPDX-License-Identifier: MIT
 * fetch.c -- the "curl" plugin: transfers whose owners are told, at the top of a turn, that
 * something has changed. What is asked of libcurl outside of its callbacks waits for that, too. */
#include "fetch.h"
#include "buffer.h"
#include "curl/multi.h"
#include "curl/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that wait to be taken; of a head; idle connections kept; owners told in one turn. */
enum { PILE = 256 * 1024, HEAD = 256 * 1024, CONNECTIONS = 100, TURNS = 64 };

/* Before 8.7.0 bodies that share an HTTP/2 connection mix and stall: of 400 uploads at 20 at a time
 * one or two came back wrong, or never, with 7.88.1. With a connection each none of 1,600 did. */
enum { SOUND_MULTIPLEXING = 0x080700 };

struct tiny_fetcher {
  multi *multi;
  uv_idle_t idle;    /* active while someone is to be told */
  tiny_fetch *first; /* who is, by 'later' */
};

struct tiny_fetch {
  tiny_fetcher *fetcher;
  tiny_fetch *later;
  bool listed;
  CURL *easy;
  struct curl_slist *headers;
  void (*told)(void *owner);
  void *owner;
  tiny_buffer head, in, out;
  size_t max_body;
  bool takes_pieces, follows, sends_pieces, fed; /* fed: the last piece has come */
  bool headed, in_body, over;
  int pauses;   /* CURLPAUSE_* bits that libcurl was told */
  int unpauses; /* those that are to be lifted */
  CURLcode result;
  const char *excess; /* what there was too much of, as it is told; NULL */
  char error[CURL_ERROR_SIZE];
};

/* -- telling --------------------------------------------------------------- */

static void on_idle(uv_idle_t *idle);

static void list(tiny_fetch *f) {
  tiny_fetcher *all = f->fetcher;
  if (f->listed) return;
  if (!all->first) uv_idle_start(&all->idle, on_idle);
  f->listed = true;
  f->later = all->first;
  all->first = f;
}

static void unlist(tiny_fetch *f) {
  tiny_fetch **at = &f->fetcher->first;
  if (!f->listed) return;
  while (*at != f) at = &(*at)->later;
  *at = f->later;
  f->listed = false;
}

/* Lifting a pause may call back at once, with what waits: hence not where Lua asked for it. */
static void lift_pauses(tiny_fetch *f) {
  int lifted = f->pauses & f->unpauses;
  f->unpauses = 0;
  if (!lifted || f->over) return;
  f->pauses &= ~lifted;
  curl_easy_pause(f->easy, f->pauses);
}

/* The owner may drop the transfer, or another. */
static void on_idle(uv_idle_t *idle) {
  tiny_fetcher *all = idle->data;
  for (int i = 0; i < TURNS && all->first; i++) {
    tiny_fetch *f = all->first;
    lift_pauses(f);
    unlist(f);
    f->told(f->owner);
  }
  if (!all->first) uv_idle_stop(idle);
}

static void on_turned(void *data) { (void)data; }

static void on_done(void *data, CURL *easy, CURLcode result) {
  tiny_fetch *f;
  (void)data;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &f);
  f->over = true;
  f->headed = f->headed || result == CURLE_OK;
  f->result = result;
  list(f);
}

/* -- what comes ------------------------------------------------------------ */

/* The end of a head: whether it is the last. "See other" means GET, whatever was asked for. */
static bool is_final(tiny_fetch *f) {
  long status = 0;
  curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status == 303) curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, NULL);
  return status >= 200 && !(f->follows && status >= 300 && status < 400);
}

/* Each answer of a chain begins with a status line. What comes after the body is no head. */
static size_t on_header(char *data, size_t size, size_t count, void *owner) {
  tiny_fetch *f = owner;
  size_t length = size * count;
  if (f->in_body) return length;
  if (length > 5 && memcmp(data, "HTTP/", 5) == 0) f->head.size = 0;
  if (f->head.size + length > HEAD) f->excess = "the answer's head is too large";
  if (f->excess || tiny_buffer_add(&f->head, data, length) != 0) return 0;
  if (length <= 2 && is_final(f)) {
    f->headed = true;
    list(f);
  }
  return length;
}

static size_t on_write(char *data, size_t size, size_t count, void *owner) {
  tiny_fetch *f = owner;
  size_t length = size * count;
  if (f->takes_pieces && tiny_buffer_pending(&f->in) > PILE) {
    f->pauses |= CURLPAUSE_RECV;
    return CURL_WRITEFUNC_PAUSE;
  }
  f->headed = f->in_body = true;
  if (!f->takes_pieces && f->in.size + length > f->max_body)
    f->excess = "the answer is larger than max_body";
  if (f->excess || tiny_buffer_add(&f->in, data, length) != 0) return 0;
  list(f);
  return length;
}

static size_t on_read(char *to, size_t size, size_t count, void *owner) {
  tiny_fetch *f = owner;
  size_t room = size * count,
         length = tiny_buffer_pending(&f->out) < room ? tiny_buffer_pending(&f->out) : room;
  if (length == 0 && f->fed) return 0;
  if (length > 0) memcpy(to, f->out.data + f->out.at, length);
  f->out.at += length;
  if (length > 0) return length;
  f->pauses |= CURLPAUSE_SEND;
  list(f);
  return CURL_READFUNC_PAUSE;
}

/* A body in pieces cannot be sent twice. */
static int on_seek(void *owner, curl_off_t offset, int origin) {
  (void)owner, (void)offset, (void)origin;
  return CURL_SEEKFUNC_FAIL;
}

/* -- starting -------------------------------------------------------------- */

static void set_callbacks(tiny_fetch *f) {
  curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
  curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->error);
  curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
  curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
  curl_easy_setopt(f->easy, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(f->easy, CURLOPT_READDATA, f);
  curl_easy_setopt(f->easy, CURLOPT_SEEKFUNCTION, on_seek);
}

static int set_headers(tiny_fetch *f, const tiny_fetch_order *o) {
  for (int i = 0; o->headers && o->headers[i]; i++) {
    struct curl_slist *longer = curl_slist_append(f->headers, o->headers[i]);
    if (!longer) return -1;
    f->headers = longer;
  }
  curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
  return 0;
}

static void free_fetch(tiny_fetch *f) {
  if (f->easy) curl_easy_cleanup(f->easy);
  curl_slist_free_all(f->headers);
  tiny_buffer_free(&f->head);
  tiny_buffer_free(&f->in);
  tiny_buffer_free(&f->out);
  free(f);
}

static CURLcode prepare(tiny_fetch *f, const tiny_fetch_order *o) {
  if (!f->easy || set_headers(f, o) != 0) return CURLE_OUT_OF_MEMORY;
  set_callbacks(f);
  return settings_apply(f->easy, o);
}

static tiny_fetch *start(tiny_fetcher *all, const tiny_fetch_order *o, void (*told)(void *),
                         void *owner, char *why, size_t why_size) {
  tiny_fetch *f = calloc(1, sizeof *f);
  snprintf(why, why_size, "not enough memory");
  if (!f) return NULL;
  f->fetcher = all;
  f->told = told;
  f->owner = owner;
  f->max_body = o->max_body;
  f->takes_pieces = o->takes_pieces;
  f->sends_pieces = o->sends_pieces;
  f->follows = o->redirects > 0;
  f->easy = curl_easy_init();
  if (prepare(f, o) == CURLE_OK &&
      curl_multi_add_handle(multi_handle(all->multi), f->easy) == CURLM_OK) {
    multi_hurry(all->multi);
    return f;
  }
  free_fetch(f);
  return NULL;
}

/* -- the rest -------------------------------------------------------------- */

static void drop(tiny_fetch *f) {
  unlist(f);
  curl_multi_remove_handle(multi_handle(f->fetcher->multi), f->easy);
  free_fetch(f);
}

/* The nearest of the codes that everything else here gives. */
static int code_of(const tiny_fetch *f) {
  long system = 0;
  if (f->excess) return UV_EMSGSIZE;
  switch (f->result) {
  case CURLE_OK: return 0;
  case CURLE_OPERATION_TIMEDOUT: return UV_ETIMEDOUT;
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY: return UV_EAI_NONAME;
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL: return UV_EINVAL;
  case CURLE_OUT_OF_MEMORY: return UV_ENOMEM;
  case CURLE_TOO_MANY_REDIRECTS: return UV_ELOOP;
  case CURLE_COULDNT_CONNECT:
    curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &system);
    return system ? (int)-system : UV_ECONNREFUSED;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PARTIAL_FILE: return UV_ECONNRESET;
  default: return UV_EPROTO;
  }
}

static const char *message_of(const tiny_fetch *f) {
  if (f->excess) return f->excess;
  if (f->result == CURLE_OK) return "";
  if (f->result == CURLE_OPERATION_TIMEDOUT) return "timeout";
  return f->error[0] ? f->error : curl_easy_strerror(f->result);
}

static tiny_fetch_view view(const tiny_fetch *f) {
  tiny_fetch_view v = {.headed = f->headed,
                       .head = f->head.data,
                       .head_size = f->head.size,
                       .body = f->in.data + f->in.at,
                       .body_size = tiny_buffer_pending(&f->in),
                       .hungry = !f->fed && tiny_buffer_pending(&f->out) == 0,
                       .over = f->over,
                       .message = ""};
  curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &v.status);
  curl_easy_getinfo(f->easy, CURLINFO_EFFECTIVE_URL, &v.url);
  if (!f->over) return v;
  v.code = code_of(f);
  v.message = message_of(f);
  return v;
}

static void unpause(tiny_fetch *f, int what) {
  f->unpauses |= what;
  if (f->pauses & what) list(f);
}

static void take(tiny_fetch *f, size_t size) {
  f->in.at += size;
  if (tiny_buffer_pending(&f->in) <= PILE) unpause(f, CURLPAUSE_RECV);
}

static int feed(tiny_fetch *f, const char *data, size_t size) {
  if (!data)
    f->fed = true;
  else if (tiny_buffer_add(&f->out, data, size) != 0)
    return UV_ENOMEM;
  unpause(f, CURLPAUSE_SEND);
  return 0;
}

static tiny_fetcher *open_all(uv_loop_t *loop) {
  tiny_fetcher *all = calloc(1, sizeof *all);
  multi_owner turns = {on_turned, on_done, all};
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (all) all->multi = multi_open(loop, &turns);
  if (!all || !all->multi) {
    free(all);
    return NULL;
  }
  curl_multi_setopt(multi_handle(all->multi), CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
  if (curl_version_info(CURLVERSION_NOW)->version_num < SOUND_MULTIPLEXING)
    curl_multi_setopt(multi_handle(all->multi), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  uv_idle_init(loop, &all->idle);
  all->idle.data = all;
  return all;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

static void close_all(tiny_fetcher *all) {
  multi_close(all->multi);
  uv_close((uv_handle_t *)&all->idle, on_closed);
}

__attribute__((visibility("default")))
const tiny_fetch_table tiny_fetch_functions = {open_all, close_all, start, drop, view, take, feed};
