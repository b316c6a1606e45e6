/* SPDX-License-Identifier: MIT
 * test_http_head.c -- requests that are understood, requests that are refused, and bodies in
 * chunks; whatever the bytes, and however they are cut. */
#include "http_chunks.h"
#include "http_head.h"
#include "suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tiny_http_head head;
static const char *text;

/* The head's size, or what it is refused with. */
static int take_bytes(const char *data, size_t size) {
  tiny_http_scan scan = {0, 0};
  text = data;
  int rc = tiny_http_scan_head(&scan, data, size, 16384);
  if (rc <= 0) return rc;
  int bad = tiny_http_read_head(data, (size_t)rc, &head);
  return bad != 0 ? bad : rc;
}

static int take(const char *data) { return take_bytes(data, strlen(data)); }

static void assert_span(tiny_http_span span, const char *expected) {
  ck_assert_msg(span.size == strlen(expected) && memcmp(text + span.at, expected, span.size) == 0,
                "\"%.*s\" is not \"%s\"", (int)span.size, text + span.at, expected);
}

START_TEST(a_request_is_taken_apart) {
  const char *request =
      "GET /a/b%20c?x=1&y HTTP/1.1\r\nHost: example:80\r\nAccept:\t*/* \r\nEmpty:\r\n\r\nrest";
  ck_assert_int_eq(take(request), (int)strlen(request) - 4);
  assert_span(head.method, "GET");
  assert_span(head.target, "/a/b%20c?x=1&y");
  assert_span(head.path, "/a/b%20c");
  assert_span(head.query, "x=1&y");
  assert_span(head.host, "example:80");
  ck_assert_uint_eq(head.count, 3);
  assert_span(head.fields[1].name, "Accept");
  assert_span(head.fields[1].value, "*/*");
  assert_span(head.fields[2].value, "");
  assert_span(tiny_http_find(&head, text, "ACCEPT")->value, "*/*");
  ck_assert_ptr_null(tiny_http_find(&head, text, "Accep"));
  ck_assert(head.keep_alive && !head.chunked && head.length == 0);
}
END_TEST

START_TEST(the_absolute_form_means_the_path) {
  ck_assert_int_gt(take("GET http://a.b/c?d HTTP/1.1\r\nHost: a.b\r\n\r\n"), 0);
  assert_span(head.path, "/c");
  assert_span(head.query, "d");
  ck_assert_int_gt(take("GET HTTPS://a.b:443/ HTTP/1.1\r\nHost: a.b\r\n\r\n"), 0);
  assert_span(head.path, "/");
  ck_assert_int_gt(take("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
  assert_span(head.path, "*");
}
END_TEST

START_TEST(one_empty_line_may_come_first) {
  ck_assert_int_gt(take("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
  assert_span(head.method, "GET");
  ck_assert_int_eq(take("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400);
}
END_TEST

static const struct keeping {
  const char *version, *field;
  bool keeps;
} keepings[] = {{"1.1", "A: b", true},
                {"1.1", "Connection: close", false},
                {"1.1", "connection: foo , CLOSE", false},
                {"1.1", "Connection: closed", true},
                {"1.0", "A: b", false},
                {"1.0", "Connection: Keep-Alive", true},
                {"1.0", "Connection: close", false},
                {"1.9", "A: b", true}};

START_TEST(connections_are_kept_as_asked) {
  char request[200];
  const struct keeping *k = &keepings[_i];
  snprintf(request, sizeof request, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n\r\n", k->version, k->field);
  ck_assert_int_gt(take(request), 0);
  ck_assert_msg(head.keep_alive == k->keeps, "%s %s", k->version, k->field);
}
END_TEST

START_TEST(bodies_are_announced_in_one_of_two_ways) {
  ck_assert_int_gt(take("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 123456789012\r\n\r\n"), 0);
  ck_assert_uint_eq(head.length, 123456789012u);
  ck_assert_int_gt(
      take("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\ncontent-length: 7\r\n\r\n"), 0);
  ck_assert_uint_eq(head.length, 7);
  ck_assert_int_gt(take("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"), 0);
  ck_assert(head.chunked);
  ck_assert_int_gt(
      take("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nExpect: 100-Continue\r\n\r\n"), 0);
  ck_assert(head.expects_continue);
}
END_TEST

/* Each goes between a good request line with its Host and the end, unless it begins with '!':
 * then it is the whole. */
static const struct refusal {
  int status;
  const char *text;
} refusals[] = {
    {400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"},
    {400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"},
    {400, "Content-Length: 5\r\nContent-Length: 6\r\n"},
    {400, "Content-Length: 5, 5\r\n"},
    {400, "Content-Length: +5\r\n"},
    {400, "Content-Length: -5\r\n"},
    {400, "Content-Length: 0x5\r\n"},
    {400, "Content-Length:\r\n"},
    {400, "Content-Length: 5 5\r\n"},
    {400, "Content-Length: 9999999999999999999\r\n"},
    {400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
    {501, "Transfer-Encoding: gzip, chunked\r\n"},
    {501, "Transfer-Encoding: identity\r\n"},
    {501, "Transfer-Encoding:\r\n"},
    {417, "Expect: cake\r\n"},
    {400, "Host: b\r\n"},
    {400, "Name : value\r\n"},
    {400, "Name\t: value\r\n"},
    {400, " Name: value\r\n"},
    {400, "Name: value\r\n folded\r\n"},
    {400, "Name: value\r\n\tfolded\r\n"},
    {400, "Name\r\n"},
    {400, ": value\r\n"},
    {400, "Na me: value\r\n"},
    {400, "N\xc3\xa4me: value\r\n"},
    {400, "Name: a\x01z\r\n"},
    {400, "Name: a\x7fz\r\n"},
    {400, "Name: a\rz\r\n"},
    {400, "Name: value\n"},
    {400, "\n"},
    {400, "!GET / HTTP/1.1\r\n\r\n"},
    {400, "!GET / HTTP/1.1\nHost: a\n\n"},
    {400, "!GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "!GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {400, "!GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "!GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {400, "! GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET /\r\n\r\n"},
    {400, "!GET\r\n\r\n"},
    {400, "!G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET path HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET / http/1.1\r\nHost: a\r\n\r\n"},
    {400, "!GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
    {400, "!GET / HTTP/11\r\nHost: a\r\n\r\n"},
    {505, "!GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    {505, "!PRI * HTTP/2.0\r\n\r\n"},
    {400, "!POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "!\x16\x03\x01\x02\r\n\r\n"},
};

START_TEST(what_could_be_misunderstood_is_refused) {
  char request[300];
  const struct refusal *r = &refusals[_i];
  if (r->text[0] == '!')
    snprintf(request, sizeof request, "%s", r->text + 1);
  else
    snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", r->text);
  ck_assert_msg(take(request) == -r->status, "%s gave %d", r->text, take(request));
}
END_TEST

/* A NUL anywhere, in place of a byte or between two, makes it another request or none. */
START_TEST(a_nul_anywhere_is_refused) {
  static const char request[] = "GET /a HTTP/1.1\r\nHost: b\r\nName: value\r\n\r\n";
  size_t size = sizeof request - 1;
  char changed[sizeof request];
  for (size_t at = 0; at < size; at++) {
    memcpy(changed, request, size);
    changed[at] = 0;
    ck_assert_msg(take_bytes(changed, size) <= 0, "in place of byte %zu", at);
    memcpy(changed + at + 1, request + at, size - at);
    ck_assert_msg(take_bytes(changed, size + 1) <= 0, "before byte %zu", at);
  }
}
END_TEST

START_TEST(too_much_is_refused) {
  static char request[40000];
  memset(request, 'a', sizeof request);
  memcpy(request, "GET /", 5);
  ck_assert_int_eq(take_bytes(request, sizeof request), -414);
  memcpy(request, "GET / HTTP/1.1\r\nHost: a\r\nName: ", 31);
  ck_assert_int_eq(take_bytes(request, sizeof request), -431);
  int used = sprintf(request, "GET / HTTP/1.1\r\nHost: a\r\n");
  for (int i = 1; i < TINY_HTTP_FIELDS; i++) used += sprintf(request + used, "a: b\r\n");
  strcpy(request + used, "\r\n");
  ck_assert_int_eq(take(request), used + 2);
  strcpy(request + used, "a: b\r\n\r\n");
  ck_assert_int_eq(take(request), -431);
}
END_TEST

START_TEST(a_head_that_comes_byte_by_byte_is_the_same) {
  static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
  tiny_http_scan scan = {0, 0};
  size_t size = 0;
  int rc;
  while ((rc = tiny_http_scan_head(&scan, request, size, 1000)) == 0) size++;
  ck_assert_int_eq(rc, (int)sizeof request - 4);
  ck_assert_uint_eq(size, sizeof request - 4);
}
END_TEST

/* Nothing is read beyond the end (each request is a block of its own, for the sanitizer), and
 * what is taken is sound. */
START_TEST(any_bytes_may_come_in) {
  static const char *const pieces[] = {"GET ",
                                       "/",
                                       " HTTP/1.1",
                                       "\r\n",
                                       "Host: a",
                                       "\n",
                                       "\r",
                                       ":",
                                       " ",
                                       "\t",
                                       "x",
                                       "Content-Length: 5",
                                       "Transfer-Encoding: chunked",
                                       "\r\n\r\n",
                                       "?",
                                       "#",
                                       "http://",
                                       "Connection: close,",
                                       ",",
                                       "\xff"};
  unsigned seed = 1;
  for (int round = 0; round < 300000; round++) {
    char draft[256];
    size_t size = 0;
    if (round % 2) size = (size_t)sprintf(draft, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = rand_r(&seed) % 12; i > 0; i--) {
      const char *piece = pieces[(size_t)rand_r(&seed) % (sizeof pieces / sizeof *pieces)];
      size += (size_t)sprintf(draft + size, "%s", piece);
      if (rand_r(&seed) % 16 == 0) draft[(size_t)rand_r(&seed) % (size + 1)] = (char)rand_r(&seed);
    }
    char *exact = malloc(size ? size : 1);
    memcpy(exact, draft, size);
    int rc = take_bytes(exact, size);
    if (rc > 0) {
      ck_assert_uint_ge(head.method.size, 1);
      ck_assert_uint_le((size_t)rc, size);
      ck_assert(!(head.chunked && head.length > 0));
      for (unsigned i = 0; i < head.count; i++)
        ck_assert_uint_le(head.fields[i].value.at + head.fields[i].value.size, (size_t)rc);
    }
    free(exact);
  }
}
END_TEST

/* -- chunks ---------------------------------------------------------------- */

static char body[4096];
static size_t body_size;

/* Take it in, 'step' bytes at a time. Returns the last step; what is left over goes to 'rest'. */
static tiny_chunks_step decode(const char *in, size_t size, size_t step, size_t *rest) {
  tiny_chunks chunks = {0};
  size_t at = 0;
  body_size = 0;
  tiny_chunks_step told = TINY_CHUNKS_MORE;
  while (at < size && told < TINY_CHUNKS_END) {
    size_t used, got, most = size - at < step ? size - at : step;
    const char *data;
    told = tiny_chunks_take(&chunks, in + at, most, &used, &data, &got);
    if (told == TINY_CHUNKS_DATA && body_size + got < sizeof body) {
      memcpy(body + body_size, data, got);
      body_size += got;
    }
    ck_assert_uint_ge(used, 1);
    at += used;
  }
  *rest = size - at;
  return told;
}

START_TEST(chunks_are_put_together_however_they_are_cut) {
  const char *in = "5\r\nhello\r\n1;name=\"v\"\r\n,\r\n00A\r\n1234567890\r\n0\r\nTrailer: "
                   "x\r\nOther: y\r\n\r\nrest";
  for (size_t step = 1; step <= strlen(in); step++) {
    size_t rest;
    ck_assert_int_eq(decode(in, strlen(in), step, &rest), TINY_CHUNKS_END);
    ck_assert_uint_eq(rest, 4);
    ck_assert_uint_eq(body_size, 16);
    ck_assert_mem_eq(body, "hello,1234567890", 16);
  }
}
END_TEST

static const char *const bad_chunks[] = {"x",
                                         "\r\n",
                                         "-5\r\n",
                                         "+5\r\n",
                                         "0x5\r\n",
                                         "5 \r\n",
                                         " 5\r\n",
                                         "5\nhello",
                                         "5\r\r",
                                         "5\r\nhelloX",
                                         "5\r\nhello\n",
                                         "5\r\nhello\rX",
                                         "1;a\nb",
                                         "1;a\001b\r\n",
                                         "1111111111111111\r\n",
                                         "0\r\nX: y\n",
                                         "0\r\n\rX",
                                         "0\r\nX: \001\r\n",
                                         "0\r\nX\177\r\n",
                                         "g\r\n"};

START_TEST(bad_chunks_are_refused) {
  size_t rest;
  const char *in = bad_chunks[_i];
  ck_assert_msg(decode(in, strlen(in), 100, &rest) == TINY_CHUNKS_BAD, "%s", in);
  ck_assert_msg(decode(in, strlen(in), 1, &rest) == TINY_CHUNKS_BAD, "%s", in);
}
END_TEST

START_TEST(endless_extensions_and_trailers_are_refused) {
  static char in[10000];
  size_t rest;
  memset(in, 'a', sizeof in);
  memcpy(in, "1;", 2);
  ck_assert_int_eq(decode(in, sizeof in, 1000, &rest), TINY_CHUNKS_BAD);
  memcpy(in, "0\r\n", 3);
  for (size_t at = 3; at + 8 < sizeof in; at += 8) memcpy(in + at, "a: bcd\r\n", 8);
  ck_assert_int_eq(decode(in, sizeof in, 1000, &rest), TINY_CHUNKS_BAD);
}
END_TEST

START_TEST(bad_chunks_stay_bad) {
  tiny_chunks chunks = {0};
  size_t used, size;
  const char *data;
  ck_assert_int_eq(tiny_chunks_take(&chunks, "x", 1, &used, &data, &size), TINY_CHUNKS_BAD);
  ck_assert_int_eq(tiny_chunks_take(&chunks, "\n\n", 2, &used, &data, &size), TINY_CHUNKS_BAD);
}
END_TEST

START_TEST(any_bytes_may_be_chunks) {
  static const char alphabet[] = "0123456789abcF\r\n\r\n\r\n;: \x01z";
  unsigned seed = 2;
  for (int round = 0; round < 200000; round++) {
    char in[64];
    size_t rest, size = (size_t)rand_r(&seed) % sizeof in;
    for (size_t i = 0; i < size; i++)
      in[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
    tiny_chunks_step whole = decode(in, size, 64, &rest);
    size_t left = rest, got = body_size;
    ck_assert_int_eq(decode(in, size, 1, &rest) == TINY_CHUNKS_BAD, whole == TINY_CHUNKS_BAD);
    if (whole == TINY_CHUNKS_END) ck_assert(left == rest && got == body_size);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_head");
  TCase *tcase = tcase_create("http_head");
  tcase_add_test(tcase, a_request_is_taken_apart);
  tcase_add_test(tcase, the_absolute_form_means_the_path);
  tcase_add_test(tcase, one_empty_line_may_come_first);
  tcase_add_loop_test(tcase, connections_are_kept_as_asked, 0,
                      (int)(sizeof keepings / sizeof *keepings));
  tcase_add_test(tcase, bodies_are_announced_in_one_of_two_ways);
  tcase_add_loop_test(tcase, what_could_be_misunderstood_is_refused, 0,
                      (int)(sizeof refusals / sizeof *refusals));
  tcase_add_test(tcase, a_nul_anywhere_is_refused);
  tcase_add_test(tcase, too_much_is_refused);
  tcase_add_test(tcase, a_head_that_comes_byte_by_byte_is_the_same);
  tcase_add_test(tcase, any_bytes_may_come_in);
  tcase_add_test(tcase, chunks_are_put_together_however_they_are_cut);
  tcase_add_loop_test(tcase, bad_chunks_are_refused, 0,
                      (int)(sizeof bad_chunks / sizeof *bad_chunks));
  tcase_add_test(tcase, endless_extensions_and_trailers_are_refused);
  tcase_add_test(tcase, bad_chunks_stay_bad);
  tcase_add_test(tcase, any_bytes_may_be_chunks);
  tcase_set_timeout(tcase, 120);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
