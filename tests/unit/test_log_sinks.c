/* SPDX-License-Identifier: MIT
 * test_log_sinks.c -- console and syslog with readers that stop, go and come back: never
 * a wait for the writer, never a torn line, trouble told once elsewhere. */
#include "log_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- console ---- */

static void log_to_both(void) { configure(json_pack("{ss}", "log.file_log", "app.log")); }

/* A file that another sink's trouble must be told in; fails after 20 s. */
static void await_file(const char *name, const char *text) {
  for (int i = 0; i < 2000; i++, nap_ms(10)) {
    const char *all = content(name);
    if (all && strstr(all, text)) return;
  }
  ck_abort_msg("%s never said \"%s\" but \"%s\"", name, text, content(name));
}

START_TEST(a_stalled_pipe_stops_nothing_and_tears_no_line) {
  enum { COUNT = 40000 };
  int last = -1, number, used;
  char line[200];
  log_to_both();
  fcntl(console, F_SETPIPE_SZ, 4096);
  for (int i = 0; i < COUNT; i++) {
    snprintf(line, sizeof line, "number %d", i);
    put(TINY_WARN, line);
    if (i % 1000 == 999) ck_assert_int_eq(tiny_log_flush(lines, 5000), 0);
  }
  await_file("app.log", "log.console does not work: it takes no more; trying again\n");
  FILE *pipe = fdopen(dup(console), "r");
  fcntl(console, F_SETFL, 0);
  while (fgets(line, sizeof line, pipe) && !strstr(line, "log.console works again")) {
    ck_assert_int_eq(sscanf(line, "WARN number %d%n", &number, &used), 1);
    ck_assert_str_eq(line + used, "\n");
    ck_assert_int_gt(number, last);
    last = number;
  }
  fclose(pipe);
  unsigned long long lost = 0;
  ck_assert_int_eq(sscanf(strstr(line, "s, ") + 3, "%llu lines were lost", &lost), 1);
  ck_assert_uint_gt(lost, 1000);
  ck_assert_uint_eq(lost + (unsigned)last + 1, COUNT);
  ck_assert_ptr_eq(strstr(strstr(content("app.log"), "does not work") + 1, "does not work"), NULL);
}
END_TEST

START_TEST(a_reader_that_is_gone_is_no_signal) {
  log_to_both();
  close(console);
  console = open("/dev/null", O_RDONLY);
  put(TINY_ERROR, "into the void");
  await_file("app.log", "log.console does not work: Broken pipe; trying again\n");
}
END_TEST

START_TEST(a_console_that_is_closed_is_told_and_left_alone) {
  int before = dup(STDERR_FILENO);
  close(STDERR_FILENO);
  log_to_both();
  put(TINY_ERROR, "heard elsewhere");
  await_file("app.log", "log.console does not work: it is closed\n");
  dup2(before, STDERR_FILENO);
  close(before);
  put(TINY_ERROR, "not into what has got its number");
  log_to_both();
  put(TINY_ERROR, "nor after a reload");
  ck_assert_str_eq(output(), "");
}
END_TEST

START_TEST(the_stream_stays_ours_when_its_number_is_reused) {
  log_to_both();
  ck_assert_int_eq(tiny_log_flush(lines, 5000), 0);
  int before = dup(STDERR_FILENO), other = open(in_folder("other"), O_WRONLY | O_CREAT, 0666);
  dup2(other, STDERR_FILENO);
  put(TINY_INFO, "to the pipe");
  ck_assert_str_eq(output(), "INFO to the pipe\n");
  dup2(before, STDERR_FILENO);
  close(before);
  close(other);
  ck_assert_str_eq(content("other"), "");
}
END_TEST

START_TEST(a_regular_file_as_console_is_appended_to) {
  int before = dup(STDERR_FILENO), file = open(in_folder("err"), O_WRONLY | O_CREAT, 0666);
  ck_assert_int_eq(write(file, "first\n", 6), 6);
  dup2(file, STDERR_FILENO);
  configure(json_object());
  put(TINY_INFO, "second");
  ck_assert_int_eq(tiny_log_flush(lines, 5000), 0);
  dup2(before, STDERR_FILENO);
  close(before);
  close(file);
  ck_assert_str_eq(content("err"), "first\nINFO second\n");
}
END_TEST

/* ---- colours ---- */

START_TEST(a_terminal_gets_colours_unless_it_must_not) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY), before = dup(STDERR_FILENO);
  grantpt(terminal);
  unlockpt(terminal);
  int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  dup2(slave, STDERR_FILENO);
  setenv("TERM", "xterm", 1);
  for (int no = 0; no < 2; no++) {
    if (no)
      setenv("NO_COLOR", "1", 1);
    else
      unsetenv("NO_COLOR");
    configure(json_pack("{sb}", "log.console", 0));
    configure(json_object());
    put(TINY_WARN, "careful");
    ck_assert_int_eq(tiny_log_flush(lines, 5000), 0);
    ssize_t n = read(terminal, got, sizeof got - 1);
    got[n > 0 ? n : 0] = 0;
    ck_assert_str_eq(got, no ? "WARN careful\r\n" : "\033[33mWARN careful\033[0m\r\n");
  }
  unsetenv("NO_COLOR");
  dup2(before, STDERR_FILENO);
  close(before);
  close(slave);
  close(terminal);
}
END_TEST

/* ---- syslog ---- */

static int bind_daemon(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("dev_log"));
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static void stop_daemon(int fd) {
  close(fd);
  unlink(in_folder("dev_log"));
}

static const char *datagram(int fd) {
  ssize_t n = -1;
  for (int i = 0; i < 2000 && n < 0; i++) {
    n = recv(fd, got, sizeof got - 1, 0);
    if (n < 0) nap_ms(10);
  }
  ck_assert_int_ge(n, 0);
  got[n] = 0;
  return got;
}

static void log_to_syslog(void) {
  configure(json_pack("{sbssssss}", "log.syslog", 1, "log.syslog.address", "dev_log",
                      "log.syslog.facility", "local3", "log.syslog.level", "INFO"));
}

START_TEST(a_datagram_is_what_daemons_parse) {
  char expected[100];
  int fd = bind_daemon();
  log_to_syslog();
  put(TINY_ERROR, "an\nerror");
  time_t now = time(NULL);
  struct tm tm;
  strftime(expected, sizeof expected, "<155>%b %e %H:", localtime_r(&now, &tm));
  ck_assert_int_eq(strncmp(datagram(fd), expected, strlen(expected)), 0);
  snprintf(expected, sizeof expected, " srv[%ld]: an\n    error", (long)getpid());
  ck_assert_str_eq(got + strlen("<155>Nov 22 12:00:00"), expected);
  put(TINY_WARN, "w");
  ck_assert_int_eq(strncmp(datagram(fd), "<156>", 5), 0);
  put(TINY_INFO, "i");
  ck_assert_int_eq(strncmp(datagram(fd), "<158>", 5), 0);
  stop_daemon(fd);
}
END_TEST

START_TEST(a_long_line_is_cut_where_daemons_would) {
  int fd = bind_daemon();
  log_to_syslog();
  char *text = malloc(20001);
  for (int i = 0; i < 20000; i += 2) memcpy(text + i, "ü", 3);
  put(TINY_INFO, text);
  free(text);
  size_t size = strlen(datagram(fd));
  ck_assert_uint_le(size, 8000);
  ck_assert_uint_gt(size, 7900);
  ck_assert_str_eq(got + size - 11, "ü... [cut]");
  stop_daemon(fd);
}
END_TEST

START_TEST(a_daemon_that_comes_and_goes_is_told_once_each) {
  log_to_syslog();
  put(TINY_INFO, "early");
  await_console("ERROR log.syslog does not work: No such file or directory; trying again\n");
  int fd = bind_daemon();
  await_console("WARN log.syslog works again after ");
  ck_assert_ptr_nonnull(strstr(datagram(fd), ": early"));
  ck_assert_ptr_nonnull(strstr(datagram(fd), ": log.syslog works again"));
  stop_daemon(fd);
  fd = bind_daemon();
  put(TINY_INFO, "at once"); /* the new socket is found without any trouble */
  ck_assert_ptr_nonnull(strstr(datagram(fd), ": at once"));
  ck_assert_str_eq(output(), "INFO at once\n");
  stop_daemon(fd);
}
END_TEST

START_TEST(a_daemon_that_reads_nothing_holds_nothing_up_and_loses_nothing_short) {
  char text[40];
  int fd = bind_daemon();
  log_to_syslog();
  for (int i = 0; i < 2000; i++) {
    snprintf(text, sizeof text, "number %d", i);
    put(TINY_INFO, text);
  }
  await_console("ERROR log.syslog does not work: it takes no more; trying again\n");
  for (int i = 0; i < 2000; i++) {
    snprintf(text, sizeof text, ": number %d", i);
    ck_assert_ptr_nonnull(strstr(datagram(fd), text));
  }
  await_console("s, 0 lines were lost\n");
  stop_daemon(fd);
}
END_TEST

START_TEST(an_address_that_is_too_long_is_refused) {
  char address[200];
  memset(address, 'x', 199);
  address[199] = 0;
  tiny_conf *conf = tiny_conf_new(
      json_pack("{sssbss}", "svr.name", "srv", "log.syslog", 1, "log.syslog.address", address),
      in_folder("conf.lua"));
  ck_assert_int_eq(tiny_log_check(conf, why, sizeof why), -1);
  ck_assert_ptr_nonnull(strstr(why, "log.syslog.address: \""));
  tiny_conf_drop(conf);
}
END_TEST

/* ---- the end ---- */

START_TEST(closing_gives_a_slow_reader_its_time) {
  char line[200];
  int number = -1;
  configure(json_object());
  fcntl(console, F_SETPIPE_SZ, 4096);
  for (int i = 0; i < 2000; i++) {
    snprintf(line, sizeof line, "number %d", i);
    put(TINY_INFO, line);
  }
  pid_t reader = fork();
  if (reader == 0) {
    nap_ms(300);
    FILE *pipe = fdopen(console, "r");
    fcntl(console, F_SETFL, 0);
    close(STDERR_FILENO);
    while (number < 1999 && fgets(line, sizeof line, pipe)) sscanf(line, "INFO number %d", &number);
    _exit(number == 1999 ? 0 : 1);
  }
  tiny_log_close(lines, 10000);
  int status = -1;
  ck_assert_int_eq(waitpid(reader, &status, 0), reader);
  ck_assert_int_eq(status, 0);
  lines = tiny_log_open();
}
END_TEST

START_TEST(closing_does_not_wait_for_ever) {
  struct timespec from, to;
  char line[100] = "";
  memset(line, 'x', 99);
  configure(json_object());
  fcntl(console, F_SETPIPE_SZ, 4096);
  for (int i = 0; i < 2000; i++) put(TINY_INFO, line);
  clock_gettime(CLOCK_MONOTONIC, &from);
  tiny_log_close(lines, 200);
  clock_gettime(CLOCK_MONOTONIC, &to);
  ck_assert_int_lt(to.tv_sec - from.tv_sec, 10);
  lines = tiny_log_open();
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("sinks");
  tcase_add_checked_fixture(tests, open_log, close_log);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, a_stalled_pipe_stops_nothing_and_tears_no_line);
  tcase_add_test(tests, a_reader_that_is_gone_is_no_signal);
  tcase_add_test(tests, a_console_that_is_closed_is_told_and_left_alone);
  tcase_add_test(tests, the_stream_stays_ours_when_its_number_is_reused);
  tcase_add_test(tests, a_regular_file_as_console_is_appended_to);
  tcase_add_test(tests, a_terminal_gets_colours_unless_it_must_not);
  tcase_add_test(tests, a_datagram_is_what_daemons_parse);
  tcase_add_test(tests, a_long_line_is_cut_where_daemons_would);
  tcase_add_test(tests, a_daemon_that_comes_and_goes_is_told_once_each);
  tcase_add_test(tests, a_daemon_that_reads_nothing_holds_nothing_up_and_loses_nothing_short);
  tcase_add_test(tests, an_address_that_is_too_long_is_refused);
  tcase_add_test(tests, closing_gives_a_slow_reader_its_time);
  tcase_add_test(tests, closing_does_not_wait_for_ever);
  return run_suite("log_sinks", tests);
}
