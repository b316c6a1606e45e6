/* SPDX-License-Identifier: MIT
 * fuzz_http_head.c -- a request's head and a body in chunks: the same is understood however the bytes
 * are cut, and no part of it lies outside of it. */
#include "fuzz.h"

#include "http_chunks.h"
#include "http_head.h"

enum { LIMIT = 2048 };

static int scan_cut(const char *data, size_t size, fuzz_cuts cuts) {
  tiny_http_scan scan = {0, 0};
  int rc = tiny_http_scan_head(&scan, data, 0, LIMIT);
  for (size_t seen = 0; rc == 0 && seen < size;) {
    seen += fuzz_cut(&cuts, size - seen);
    char *so_far = fuzz_copy(data, seen);
    rc = tiny_http_scan_head(&scan, so_far, seen, LIMIT);
    free(so_far);
  }
  return rc;
}

static void check_span(const tiny_http_head *head, tiny_http_span span, const char *text) {
  FUZZ_CHECK(span.at <= head->size && span.size <= head->size - span.at);
  for (uint32_t i = 0; i < span.size; i++)
    FUZZ_CHECK(text[span.at + i] != '\r' && text[span.at + i] != '\n' && text[span.at + i] != 0);
}

static void check_head(const tiny_http_head *head, const char *text) {
  const tiny_http_span spans[] = {head->method, head->target, head->path, head->query, head->host};
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) check_span(head, spans[i], text);
  FUZZ_CHECK(head->count <= TINY_HTTP_FIELDS);
  for (unsigned i = 0; i < head->count; i++) {
    check_span(head, head->fields[i].name, text);
    check_span(head, head->fields[i].value, text);
  }
  FUZZ_CHECK(!tiny_http_find(head, text, "Transfer-Encoding") || head->chunked);
  FUZZ_CHECK(!tiny_http_find(head, text, "Content-Length") || !head->chunked);
}

/* Bad once is bad for ever, whatever follows. */
static void check_bad(tiny_chunks *chunks) {
  size_t used, size;
  const char *body;
  FUZZ_CHECK(tiny_chunks_take(chunks, "\n\n", 2, &used, &body, &size) == TINY_CHUNKS_BAD);
}

/* What a reader of chunks has found: its verdict, how many bytes it took, and of the body what. */
typedef struct outcome {
  tiny_chunks_step step;
  size_t used;
  uint64_t body;
} outcome;

static outcome read_chunks(const char *data, size_t size, fuzz_cuts *cuts) {
  outcome o = {TINY_CHUNKS_MORE, 0, FUZZ_HASH};
  tiny_chunks chunks = {0};
  while (o.used < size && (o.step == TINY_CHUNKS_MORE || o.step == TINY_CHUNKS_DATA)) {
    size_t piece = cuts ? fuzz_cut(cuts, size - o.used) : size - o.used, used, data_size = 0;
    const char *body = NULL;
    char *in = fuzz_copy(data + o.used, piece);
    o.step = tiny_chunks_take(&chunks, in, piece, &used, &body, &data_size);
    FUZZ_CHECK(used <= piece && (o.step == TINY_CHUNKS_DATA || data_size == 0));
    FUZZ_CHECK(used > 0);
    o.body = fuzz_hash(o.body, body, data_size);
    o.used += used;
    free(in);
  }
  if (o.step == TINY_CHUNKS_BAD) check_bad(&chunks);
  return o;
}

static void check_chunks(const char *data, size_t size, fuzz_cuts cuts) {
  outcome whole = read_chunks(data, size, NULL), cut = read_chunks(data, size, &cuts);
  bool over = whole.step == TINY_CHUNKS_BAD || whole.step == TINY_CHUNKS_END;
  FUZZ_CHECK(whole.used == cut.used && whole.body == cut.body);
  FUZZ_CHECK(!over || whole.step == cut.step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tiny_http_head head;
  fuzz_cuts cuts = fuzz_cuts_take(&data, &size);
  char *text = fuzz_copy(data, size);
  int rc = scan_cut(text, size, (fuzz_cuts){{255, 255, 255, 255}, 0});
  FUZZ_CHECK(rc == scan_cut(text, size, cuts));
  check_chunks(text, size, cuts);
  if (rc > 0) {
    char *alone = fuzz_copy(text, (size_t)rc);
    if (tiny_http_read_head(alone, (size_t)rc, &head) == 0) check_head(&head, alone);
    check_chunks(text + rc, size - (size_t)rc, cuts);
    free(alone);
  }
  free(text);
  return 0;
}
