/* SPDX-License-Identifier: MIT
 * test_control_socket.c -- clients of every kind, and the socket's file. */
#include "control_socket.h"
#include "fake_runtime.h"
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void teardown(void) {
  check_serves(); /* whatever has happened */
  fake_end_loop();
  fake_teardown();
}

static void setup(void) {
  fake_setup();
  fake_start();
}

/* -- rubbish ----------------------------------------------------------------- */

static const struct {
  const char *line, *text;
} rubbish[] = {
    {"", "not a request"},
    {"reload", "not a request"},
    {"[]", "not a request"},
    {"null", "not a request"},
    {"{\"do\":\"status\"", "not a request"},
    {"{\"do\":\"status\"} {\"do\":\"status\"}", "not a request"},
    {"\xff\xfe\x80{}", "not a request"},
    {"{\"do\":\"status\xff\"}", "not a request"},
    {"GET / HTTP/1.1", "not a request"},
    {"{}", "unknown request \"\""},
    {"{\"do\":1}", "unknown request \"\""},
    {"{\"do\":\"dance\"}", "unknown request \"dance\""},
    {"{\"do\":\"eval\"}", "eval needs"},
    {"{\"do\":\"eval\",\"code\":7}", "eval needs"},
    {"{\"do\":\"eval\",\"code\":\"x\",\"timeout\":-1}", "eval needs"},
    {"{\"do\":\"eval\",\"code\":\"x\",\"timeout\":\"1\"}", "eval needs"},
    {"{\"do\":\"eval\",\"code\":\"x\",\"timeout\":1e300}", "eval needs"},
};

START_TEST(rubbish_is_answered_with_a_word) { exchange(rubbish[_i].line, false, rubbish[_i].text); }
END_TEST

START_TEST(deep_nesting_is_rubbish_too) {
  char line[50001];
  memset(line, '[', sizeof line - 1);
  line[sizeof line - 1] = 0;
  exchange(line, false, "not a request");
}
END_TEST

START_TEST(a_megabyte_without_an_end_is_refused) {
  static char text[1 << 20];
  memset(text, 'x', sizeof text);
  int fd = client_connect();
  size_t sent = 0;
  for (ssize_t n; sent < sizeof text; sent += (size_t)n)
    if ((n = send(fd, text + sent, sizeof text - sent, MSG_NOSIGNAL)) <= 0) break;
  check_answer(client_answer(fd), false, "longer than 65536 bytes");
}
END_TEST

/* The longest request that is allowed, and one byte more. */
START_TEST(the_limit_is_64_kb) {
  static char text[65537];
  int size = 65535 + _i;
  int head = snprintf(text, sizeof text, "{\"do\":\"eval\",\"code\":\"");
  memset(text + head, 'x', (size_t)(size - head - 2));
  memcpy(text + size - 2, "\"}", 3);
  if (_i == 0)
    exchange(text, true, "xxx");
  else
    exchange(text, false, "longer than 65536 bytes");
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte) {
  static const char request[] = "{\"do\":\"reload\"}\n";
  int fd = client_connect();
  for (size_t i = 0; i < sizeof request - 1; i++) {
    client_send(fd, request + i, 1);
    usleep(500);
  }
  check_answer(client_answer(fd), true, "reloaded");
}
END_TEST

START_TEST(what_follows_a_request_is_not_read) {
  int fd = client_connect();
  client_send(fd, "{\"do\":\"reload\"}\n{\"do\":\"reload\"}\n", 32);
  check_answer(client_answer(fd), true, "reloaded");
  ck_assert_int_eq(fake.reloads, 1);
}
END_TEST

START_TEST(a_client_that_has_shut_its_side_is_answered) {
  int fd = client_ask("{\"do\":\"reload\"}");
  shutdown(fd, SHUT_WR);
  check_answer(client_answer(fd), true, "reloaded");
}
END_TEST

/* -- clients that go away ------------------------------------------------------ */

START_TEST(half_requests_and_early_goodbyes_are_harmless) {
  static const char *const starts[] = {"", "{\"do\":", "{\"do\":\"reload\"}\n",
                                       "{\"do\":\"status\"}\n"};
  for (int i = 0; i < 400; i++) {
    int fd = client_connect();
    client_send(fd, starts[i % 4], strlen(starts[i % 4]));
    close(fd);
  }
  check_serves();
}
END_TEST

START_TEST(a_client_that_goes_away_in_mid_answer_is_harmless) {
  enum { GAUGES = 50000 }; /* more than a socket's buffers take */
  for (int i = 0; i < GAUGES; i++) {
    char name[64];
    snprintf(name, sizeof name, "a gauge with a rather long name, number %d", i);
    tiny_state_app(&fake.state, name, i, false);
  }
  for (int i = 0; i < 20; i++) {
    char start[100];
    int fd = client_ask("{\"do\":\"status\"}");
    ck_assert_int_gt(recv(fd, start, sizeof start, 0), 0);
    close(fd);
  }
  json_t *answer = client_answer(client_ask("{\"do\":\"status\"}"));
  const json_t *info = json_object_get(answer, "info");
  ck_assert_uint_eq(json_object_size(json_object_get(info, "app")), GAUGES);
  json_decref(answer);
}
END_TEST

/* -- many clients -------------------------------------------------------------- */

enum { MANY = 1000 };

static int many[MANY];

static void allow_many(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(a_thousand_reloads_at_once_are_all_answered) {
  allow_many();
  fake_keep_busy();
  for (int i = 0; i < MANY; i++) many[i] = client_ask("{\"do\":\"reload\"}");
  fake_let_go();
  for (int i = 0; i < MANY; i++) check_answer(client_answer(many[i]), true, "reloaded");
  ck_assert_int_eq(fake.reloads, MANY);
}
END_TEST

START_TEST(a_thousand_who_say_nothing_keep_nobody_out) {
  allow_many();
  for (int i = 0; i < MANY; i++) many[i] = client_connect();
  check_serves();
  for (int i = 0; i < MANY; i++) close(many[i]);
}
END_TEST

START_TEST(who_says_nothing_is_sent_away) {
  json_t *answer = client_answer(client_connect());
  ck_assert_ptr_null(answer);
}
END_TEST

/* -- others' clients ------------------------------------------------------------ */

/* In a child that has become "nobody": 0 when it was refused with a word, or could not even connect. */
static int ask_as_nobody(const struct passwd *nobody, bool connects) {
  struct sockaddr_un address;
  int folder, fd = socket(AF_UNIX, SOCK_STREAM, 0);
  char answer[200] = "";
  if (setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) return 10;
  if (tiny_unix_address(fake.socket, &address, &folder) != 0) return 11;
  int refused = connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
  if (!connects) return refused && errno == EACCES ? 0 : 12;
  if (refused) return 13;
  if (send(fd, "{\"do\":\"close\"}\n", 15, MSG_NOSIGNAL) < 0 && errno != EPIPE) return 14;
  if (read(fd, answer, sizeof answer - 1) <= 0) return 15;
  return strstr(answer, "only the server's own user and root are served") ? 0 : 16;
}

static void check_nobody(bool connects) {
  int status = -1;
  struct passwd *nobody = getpwnam("nobody");
  ck_assert_ptr_nonnull(nobody);
  pid_t child = fork();
  if (child == 0) _exit(ask_as_nobody(nobody, connects));
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* Only root can become somebody else. */
START_TEST(another_users_client_is_kept_out_by_the_mode_and_by_its_name) {
  if (geteuid() != 0) return;
  ck_assert_int_eq(chmod(fake.folder, 0755), 0);
  check_nobody(false);
  ck_assert_int_eq(chmod(fake.socket, 0666), 0);
  check_nobody(true);
  ck_assert_int_eq(fake.closes, 0);
}
END_TEST

/* -- the file ------------------------------------------------------------------- */

START_TEST(the_socket_is_for_its_owner_alone) {
  struct stat is;
  ck_assert_int_eq(stat(fake.socket, &is), 0);
  ck_assert(S_ISSOCK(is.st_mode));
  ck_assert_int_eq(is.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_and_a_file_is_not) {
  char path[700], why[800];
  snprintf(path, sizeof path, "%s/other.sock", fake.folder);
  int stale = tiny_control_socket_bind(path, why, sizeof why);
  ck_assert_int_ge(stale, 0);
  close(stale);
  ck_assert_int_eq(access(path, F_OK), 0);
  int fresh = tiny_control_socket_bind(path, why, sizeof why);
  ck_assert_msg(fresh >= 0, "%s", why);
  close(fresh);
  unlink(path);
  close(creat(path, 0600));
  ck_assert_int_eq(tiny_control_socket_bind(path, why, sizeof why), -1);
  ck_assert_ptr_nonnull(strstr(why, "Address already in use"));
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_folder_that_is_missing_is_named) {
  char why[800];
  ck_assert_int_eq(tiny_control_socket_bind("/nonexistent/x.sock", why, sizeof why), -1);
  ck_assert_str_eq(why, "/nonexistent/x.sock: No such file or directory");
}
END_TEST

static void setup_nothing(void) { fake_setup(); }

START_TEST(a_path_that_is_too_long_for_an_address_works) {
  char folder[sizeof fake.folder + 256], outer[sizeof fake.folder];
  memcpy(outer, fake.folder, sizeof outer);
  snprintf(folder, sizeof folder, "%s/%0250d", outer, 1);
  ck_assert_int_eq(mkdir(folder, 0700), 0);
  fake_place(folder);
  fake_start();
  check_serves();
  fake_end_loop();
  ck_assert_int_eq(rmdir(folder), 0);
  fake_place(outer);
}
END_TEST

static int open_fds(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static void serve_once(void) {
  fake.stopped = false;
  fake_start();
  check_serves();
  int silent = client_connect();
  fake_end_loop();
  close(silent);
}

/* libuv keeps a pipe for the process from the first loop on. */
START_TEST(nothing_is_left_open) {
  serve_once();
  int before = open_fds();
  for (int i = 0; i < 20; i++) serve_once();
  ck_assert_int_eq(open_fds(), before);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("control socket");
  TCase *clients = tcase_create("clients");
  tcase_set_timeout(clients, 60);
  tcase_add_checked_fixture(clients, setup, teardown);
  tcase_add_loop_test(clients, rubbish_is_answered_with_a_word, 0,
                      sizeof rubbish / sizeof *rubbish);
  tcase_add_test(clients, deep_nesting_is_rubbish_too);
  tcase_add_test(clients, a_megabyte_without_an_end_is_refused);
  tcase_add_loop_test(clients, the_limit_is_64_kb, 0, 2);
  tcase_add_test(clients, a_request_may_come_byte_by_byte);
  tcase_add_test(clients, what_follows_a_request_is_not_read);
  tcase_add_test(clients, a_client_that_has_shut_its_side_is_answered);
  tcase_add_test(clients, half_requests_and_early_goodbyes_are_harmless);
  tcase_add_test(clients, a_client_that_goes_away_in_mid_answer_is_harmless);
  tcase_add_test(clients, a_thousand_reloads_at_once_are_all_answered);
  tcase_add_test(clients, a_thousand_who_say_nothing_keep_nobody_out);
  tcase_add_test(clients, who_says_nothing_is_sent_away);
  tcase_add_test(clients, another_users_client_is_kept_out_by_the_mode_and_by_its_name);
  tcase_add_test(clients, the_socket_is_for_its_owner_alone);
  tcase_add_test(clients, a_stale_socket_is_replaced_and_a_file_is_not);
  tcase_add_test(clients, a_folder_that_is_missing_is_named);
  suite_add_tcase(suite, clients);
  TCase *file = tcase_create("file");
  tcase_set_timeout(file, 60);
  tcase_add_checked_fixture(file, setup_nothing, fake_teardown);
  tcase_add_test(file, a_path_that_is_too_long_for_an_address_works);
  tcase_add_test(file, nothing_is_left_open);
  suite_add_tcase(suite, file);
  return suite_run(suite);
}
