/* SPDX-License-Identifier: MIT
 * fuzz_top.c -- messages of feeds as `tiny top` shows them: whatever other machines send, what comes to
 * the terminal holds no control characters. The input is a width and messages, one a line. */
#include "fuzz.h"

#include "top_detail.h"
#include "top_table.h"
#include "top_text.h"

#include <locale.h>

static void take_line(tiny_top_server *server, const uint8_t *line, size_t size) {
  json_t *message = json_loadb((const char *)line, size, 0, NULL);
  json_t *info = json_object_get(message, "info"), *conf = json_object_get(message, "conf");
  json_int_t seq = json_integer_value(json_object_get(message, "seq"));
  if (json_is_object(info))
    tiny_top_server_take(server, json_incref(info), json_incref(conf), (uint64_t)seq);
  json_decref(message);
}

static void take_lines(tiny_top_server *server, const uint8_t *data, size_t size) {
  while (size > 0) {
    const uint8_t *end = memchr(data, '\n', size);
    size_t length = end ? (size_t)(end - data) : size;
    take_line(server, data, length);
    if (!end) return;
    data += length + 1;
    size -= length + 1;
  }
}

/* U+0080 to U+009F are control characters, too. */
static void check_text(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    FUZZ_CHECK(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 127));
  for (size_t i = 1; i < size; i++)
    FUZZ_CHECK(text[i - 1] != '\xc2' || (unsigned char)text[i] >= 0xa0);
}

/* As --once prints it. */
static void check_table(tiny_top_server *server, int width) {
  tiny_page page = {0};
  tiny_top_list list = {&server, 1};
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  FUZZ_CHECK(out != NULL);
  tiny_top_table(&page, &list, server, 0, 10, width);
  tiny_page_print(&page, out);
  fclose(out);
  check_text(text, size);
  tiny_page_clear(&page);
  free(text);
}

/* As it is drawn: line by line, each made to fit. */
static void check_detail(const tiny_top_server *server, int width) {
  tiny_page page = {0};
  tiny_top_detail(&page, server, width);
  for (int i = 0; i < page.count; i++) {
    char *line = tiny_top_fit(page.lines[i].text, width, i % 2);
    FUZZ_CHECK(line && !strchr(line, '\n'));
    check_text(line, strlen(line));
    free(line);
  }
  tiny_page_clear(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  setlocale(LC_ALL, "C.UTF-8");
  tiny_top_server *server = tiny_top_server_new("tcp://127.0.0.1:5558");
  FUZZ_CHECK(server != NULL);
  take_lines(server, data + 1, size - 1);
  check_table(server, data[0]);
  check_detail(server, data[0]);
  tiny_top_server_free(server);
  return 0;
}
