/* SPDX-License-Identifier: MIT
 * test_stream.c -- reading and writing in pieces, over a socket pair and a real loop. */
#include "stream.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uv_loop_t loop;
static tiny_poller *poller;
static tiny_stream stream;
static int peer, events;
static tiny_bytes bytes;

static void on_event(tiny_stream *s) {
  (void)s;
  events++;
}

static void setup(void) {
  int pair[2];
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  poller = tiny_poller_open(&loop);
  ck_assert_ptr_nonnull(poller);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  ck_assert_int_eq(tiny_stream_open(&stream, poller, pair[0], on_event), 0);
  peer = pair[1];
  events = 0;
}

/* Every test ends by proving that nothing is left open. */
static void teardown(void) {
  tiny_stream_close(&stream);
  tiny_stream_close(&stream);
  if (peer >= 0) close(peer);
  tiny_poller_close(poller);
  uv_run(&loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* The peer's acts, and the event that tells of them. */
static void say(const char *text) {
  ck_assert_int_eq(write(peer, text, strlen(text)), (ssize_t)strlen(text));
  uv_run(&loop, UV_RUN_NOWAIT);
}

static void hang_up(void) {
  close(peer);
  peer = -1;
  uv_run(&loop, UV_RUN_NOWAIT);
}

static int read_some(size_t most) {
  return tiny_stream_read(&stream, (tiny_wish){TINY_READ_SOME, most}, &bytes);
}
static int read_exactly(size_t n) {
  return tiny_stream_read(&stream, (tiny_wish){TINY_READ_EXACTLY, n}, &bytes);
}
static int read_line(size_t most) {
  return tiny_stream_read(&stream, (tiny_wish){TINY_READ_LINE, most}, &bytes);
}

static void assert_bytes(const char *text) {
  ck_assert_uint_eq(bytes.size, strlen(text));
  ck_assert_mem_eq(bytes.data, text, bytes.size);
}

START_TEST(nothing_there_is_told_and_an_event_follows) {
  ck_assert_int_eq(read_some(10), UV_EAGAIN);
  uv_run(&loop, UV_RUN_NOWAIT);
  events = 0;
  ck_assert_int_eq(write(peer, "a", 1), 1);
  ck_assert_int_eq(read_some(10), UV_EAGAIN); /* it is not looked for before */
  uv_run(&loop, UV_RUN_ONCE);
  ck_assert_int_eq(events, 1);
  ck_assert_int_eq(read_some(10), 0);
  assert_bytes("a");
}
END_TEST

START_TEST(lines_end_with_lf_or_crlf) {
  say("one\r\ntwo\nthree\r\r\n\nfour");
  const char *const lines[] = {"one", "two", "three\r", ""};
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(read_line(100), 0);
    assert_bytes(lines[i]);
  }
  ck_assert_int_eq(read_line(100), UV_EAGAIN);
  hang_up();
  ck_assert_int_eq(read_line(100), UV_EOF);
  ck_assert_int_eq(read_some(100), 0);
  assert_bytes("four");
  ck_assert_int_eq(read_some(100), UV_EOF);
}
END_TEST

START_TEST(a_line_may_be_as_long_as_the_limit_and_no_longer) {
  say("12345\r\n12345\n123456\n");
  ck_assert_int_eq(read_line(5), 0);
  assert_bytes("12345");
  ck_assert_int_eq(read_line(5), 0);
  assert_bytes("12345");
  ck_assert_int_eq(read_line(5), UV_EMSGSIZE);
  ck_assert_int_eq(read_line(6), 0); /* it is still there */
  assert_bytes("123456");
  say("1234567");
  ck_assert_int_eq(read_line(5), UV_EMSGSIZE); /* without waiting for its end */
}
END_TEST

START_TEST(a_line_that_comes_byte_by_byte_is_one) {
  const char *text = "slow\r\n";
  for (const char *c = text; *c; c++) {
    ck_assert_int_eq(read_line(4), UV_EAGAIN);
    char one[2] = {*c, 0};
    say(one);
  }
  ck_assert_int_eq(read_line(4), 0);
  assert_bytes("slow");
}
END_TEST

START_TEST(a_count_waits_for_all_of_it) {
  say("abc");
  ck_assert_int_eq(read_exactly(5), UV_EAGAIN);
  say("defg");
  ck_assert_int_eq(read_exactly(5), 0);
  assert_bytes("abcde");
  ck_assert_int_eq(read_some(1), 0);
  assert_bytes("f");
  hang_up();
  ck_assert_int_eq(read_exactly(2), UV_EOF);
  ck_assert_int_eq(read_some(9), 0);
  assert_bytes("g");
}
END_TEST

START_TEST(a_megabyte_goes_through_in_pieces) {
  size_t size = 1 << 20, read_back = 0;
  char *data = malloc(size), piece[70000];
  for (size_t i = 0; i < size; i++) data[i] = (char)(i * 31 + i / 256);
  while (tiny_stream_write(&stream, data, size) == UV_EAGAIN) {
    ssize_t n = read(peer, piece, sizeof piece);
    ck_assert_int_gt(n, 0);
    ck_assert_mem_eq(piece, data + read_back, (size_t)n);
    read_back += (size_t)n;
  }
  for (ssize_t n; (n = read(peer, piece, sizeof piece)) > 0; read_back += (size_t)n)
    ck_assert_mem_eq(piece, data + read_back, (size_t)n);
  ck_assert_uint_eq(read_back, size);
  free(data);
}
END_TEST

START_TEST(a_million_bytes_are_read_at_one_go) {
  size_t size = 1000000, sent = 0;
  char *data = malloc(size);
  for (size_t i = 0; i < size; i++) data[i] = (char)(i % 251);
  int rc;
  while ((rc = read_exactly(size)) == UV_EAGAIN) {
    ssize_t n = write(peer, data + sent, size - sent);
    ck_assert_int_gt(n, 0);
    sent += (size_t)n;
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  ck_assert_int_eq(rc, 0);
  ck_assert_uint_eq(bytes.size, size);
  ck_assert_mem_eq(bytes.data, data, size);
  free(data);
}
END_TEST

START_TEST(whoever_waits_for_something_else_costs_no_buffer) {
  say("one\ntwo");
  ck_assert_int_eq(tiny_stream_fill(&stream), 0);
  tiny_stream_skip(&stream, 4);
  ck_assert_mem_eq(tiny_stream_peek(&stream).data, "two", 3);
  tiny_stream_skip(&stream, 3);
  ck_assert_ptr_null(stream.data);
  say("three");
  ck_assert_int_eq(read_some(3), 0);
  tiny_stream_rest(&stream);
  ck_assert_int_eq(read_some(3), 0);
  ck_assert_mem_eq(bytes.data, "ee", 2);
  tiny_stream_rest(&stream);
  ck_assert_ptr_null(stream.data);
}
END_TEST

START_TEST(a_write_that_was_cut_ends_all_writing) {
  static char data[1 << 22];
  ck_assert_int_eq(tiny_stream_write(&stream, data, sizeof data), UV_EAGAIN);
  tiny_stream_cut(&stream);
  ck_assert_int_eq(tiny_stream_write(&stream, "x", 1), UV_EPIPE);
}
END_TEST

/* Read all that comes and return how much it was: so many times 'a', and then 'b'. */
static size_t read_letters(size_t a) {
  static char data[1 << 16], as[1 << 16];
  size_t at = 0;
  memset(as, 'a', sizeof as);
  for (ssize_t n; (n = read(peer, data, sizeof data)) > 0; at += (size_t)n) {
    size_t expected = at >= a ? 0 : a - at < (size_t)n ? a - at : (size_t)n;
    ck_assert_mem_eq(data, as, expected);
    for (size_t i = expected; i < (size_t)n; i++) ck_assert_int_eq(data[i], 'b');
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  return at;
}

START_TEST(a_write_that_was_kept_goes_on_before_all_others) {
  static char data[1 << 20];
  memset(data, 'a', sizeof data);
  ck_assert_int_eq(tiny_stream_write(&stream, data, sizeof data), UV_EAGAIN);
  tiny_stream_keep(&stream, data, sizeof data, true);
  memset(data, 'x', sizeof data); /* it was copied */
  ck_assert_int_eq(tiny_stream_write(&stream, "b", 1), UV_EAGAIN);
  ck_assert_int_eq(tiny_stream_finish(&stream), UV_EAGAIN);
  ck_assert_uint_eq(read_letters(sizeof data), sizeof data);
  ck_assert_int_eq(tiny_stream_write(&stream, "b", 1), 0);
  ck_assert_uint_eq(read_letters(0), 1);
  ck_assert_int_eq(tiny_stream_finish(&stream), 0);
}
END_TEST

START_TEST(what_is_kept_behind_a_write_does_not_go_into_its_midst) {
  static char data[1 << 20];
  memset(data, 'a', sizeof data);
  ck_assert_int_eq(tiny_stream_write(&stream, data, sizeof data), UV_EAGAIN);
  tiny_stream_keep(&stream, "bb", 2, false);
  uv_run(&loop, UV_RUN_NOWAIT);
  tiny_stream_keep(&stream, data, sizeof data, true);
  tiny_stream_keep(&stream, "b", 1, false);
  ck_assert_uint_eq(read_letters(sizeof data), sizeof data + 3);
}
END_TEST

START_TEST(what_was_kept_behind_a_write_goes_out_when_that_is_done) {
  static char data[1 << 20];
  memset(data, 'a', sizeof data);
  ck_assert_int_eq(tiny_stream_write(&stream, data, sizeof data), UV_EAGAIN);
  tiny_stream_keep(&stream, "b", 1, false);
  size_t got = 0, sent;
  int rc;
  do {
    sent = stream.sent;
    got += read_letters(sizeof data - got);
    rc = tiny_stream_write(&stream, data, sizeof data);
  } while (rc == UV_EAGAIN && stream.sent > sent);
  ck_assert_int_eq(rc, 0);
  ck_assert_uint_eq(got + read_letters(sizeof data - got), sizeof data + 1);
}
END_TEST

START_TEST(what_was_kept_for_a_peer_that_is_gone_is_an_error) {
  static char data[1 << 20];
  ck_assert_int_eq(tiny_stream_write(&stream, data, sizeof data), UV_EAGAIN);
  tiny_stream_keep(&stream, data, sizeof data, true);
  hang_up();
  ck_assert_int_eq(tiny_stream_write(&stream, "x", 1), UV_EPIPE);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_an_error_and_no_signal) {
  hang_up();
  ck_assert_int_eq(tiny_stream_write(&stream, "x", 1), UV_EPIPE);
  ck_assert_int_eq(tiny_stream_write(&stream, "x", 1), UV_EPIPE);
}
END_TEST

START_TEST(half_a_close_leaves_the_other_half) {
  char c;
  ck_assert_int_eq(tiny_stream_finish(&stream), 0);
  ck_assert_int_eq(read(peer, &c, 1), 0);
  say("still");
  ck_assert_int_eq(read_some(10), 0);
  assert_bytes("still");
}
END_TEST

START_TEST(the_end_that_came_with_the_last_bytes_is_read) {
  ck_assert_int_eq(read_some(10), UV_EAGAIN);
  ck_assert_int_eq(write(peer, "last", 4), 4);
  hang_up();
  ck_assert_int_eq(read_some(10), 0);
  assert_bytes("last");
  ck_assert_int_eq(read_some(10), UV_EOF);
}
END_TEST

START_TEST(a_closed_one_says_so) {
  tiny_stream_close(&stream);
  ck_assert(!tiny_stream_is_open(&stream));
  ck_assert_int_eq(read_some(1), UV_ECANCELED);
  ck_assert_int_eq(tiny_stream_write(&stream, "x", 1), UV_ECANCELED);
  ck_assert_int_eq(tiny_stream_finish(&stream), UV_ECANCELED);
}
END_TEST

/* -- several in one turn --------------------------------------------------- */

static tiny_stream others[2];

static void close_both(tiny_stream *s) {
  (void)s;
  events++;
  tiny_stream_close(&others[0]);
  tiny_stream_close(&others[1]);
}

START_TEST(one_that_another_closes_in_the_same_turn_hears_nothing) {
  int pairs[2][2];
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]), 0);
    ck_assert_int_eq(tiny_stream_open(&others[i], poller, pairs[i][0], close_both), 0);
    ck_assert_int_eq(write(pairs[i][1], "x", 1), 1);
  }
  events = 0;
  tiny_stream_close(&stream);
  uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert_int_eq(events, 1);
  for (int i = 0; i < 2; i++) close(pairs[i][1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stream");
  TCase *tcase = tcase_create("stream");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, nothing_there_is_told_and_an_event_follows);
  tcase_add_test(tcase, lines_end_with_lf_or_crlf);
  tcase_add_test(tcase, a_line_may_be_as_long_as_the_limit_and_no_longer);
  tcase_add_test(tcase, a_line_that_comes_byte_by_byte_is_one);
  tcase_add_test(tcase, a_count_waits_for_all_of_it);
  tcase_add_test(tcase, a_megabyte_goes_through_in_pieces);
  tcase_add_test(tcase, a_million_bytes_are_read_at_one_go);
  tcase_add_test(tcase, whoever_waits_for_something_else_costs_no_buffer);
  tcase_add_test(tcase, a_write_that_was_cut_ends_all_writing);
  tcase_add_test(tcase, a_write_that_was_kept_goes_on_before_all_others);
  tcase_add_test(tcase, what_is_kept_behind_a_write_does_not_go_into_its_midst);
  tcase_add_test(tcase, what_was_kept_behind_a_write_goes_out_when_that_is_done);
  tcase_add_test(tcase, what_was_kept_for_a_peer_that_is_gone_is_an_error);
  tcase_add_test(tcase, a_peer_that_is_gone_is_an_error_and_no_signal);
  tcase_add_test(tcase, half_a_close_leaves_the_other_half);
  tcase_add_test(tcase, the_end_that_came_with_the_last_bytes_is_read);
  tcase_add_test(tcase, a_closed_one_says_so);
  tcase_add_test(tcase, one_that_another_closes_in_the_same_turn_hears_nothing);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
