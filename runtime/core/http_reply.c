/* SPDX-License-Identifier: MIT
 * http_reply.c -- status lines, dates, fields that cannot break out of their line. */
#include "http_reply.h"
#include "http_head.h"

#include <stdio.h>
#include <string.h>

bool tiny_http_is_bare(int status) { return status < 200 || status == 204 || status == 304; }

const char *tiny_http_reason(int status) {
  switch (status) {
  case 100: return "Continue";
  case 200: return "OK";
  case 201: return "Created";
  case 202: return "Accepted";
  case 204: return "No Content";
  case 206: return "Partial Content";
  case 301: return "Moved Permanently";
  case 302: return "Found";
  case 303: return "See Other";
  case 304: return "Not Modified";
  case 307: return "Temporary Redirect";
  case 308: return "Permanent Redirect";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 410: return "Gone";
  case 412: return "Precondition Failed";
  case 413: return "Content Too Large";
  case 414: return "URI Too Long";
  case 415: return "Unsupported Media Type";
  case 417: return "Expectation Failed";
  case 422: return "Unprocessable Content";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 501: return "Not Implemented";
  case 502: return "Bad Gateway";
  case 503: return "Service Unavailable";
  case 504: return "Gateway Timeout";
  case 505: return "HTTP Version Not Supported";
  default: return "Unknown";
  }
}

/* Not strftime(): its names of days and months follow the locale. */
void tiny_http_format_time(time_t when, char text[TINY_HTTP_TIME]) {
  static const char days[] = "SunMonTueWedThuFriSat",
                    months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm tm;
  gmtime_r(&when, &tm);
  snprintf(text, TINY_HTTP_TIME, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
           tm.tm_mday % 100, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour % 100,
           tm.tm_min % 100, tm.tm_sec % 100);
}

static const char *today(tiny_http_date *date) {
  time_t now = time(NULL);
  if (now != date->second) {
    date->second = now;
    tiny_http_format_time(now, date->text);
  }
  return date->text;
}

static char *put(char *out, const char *text) {
  size_t size = strlen(text);
  memcpy(out, text, size);
  return out + size;
}

static char *put_number(char *out, uint64_t number) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  while (count > 0) *out++ = digits[--count];
  return out;
}

static char *put_frame(char *out, const tiny_http_reply *reply) {
  if (reply->frame == TINY_FRAME_CHUNKED) return put(out, "Transfer-Encoding: chunked\r\n");
  if (reply->frame != TINY_FRAME_LENGTH) return out;
  return put(put_number(put(out, "Content-Length: "), reply->length), "\r\n");
}

size_t tiny_http_write_head(char *out, const tiny_http_reply *reply, tiny_http_date *date) {
  char *at = put_number(put(out, "HTTP/1.1 "), (uint64_t)reply->status);
  *at++ = ' ';
  at = put(at, tiny_http_reason(reply->status));
  at = put(at, "\r\nDate: ");
  at = put(at, today(date));
  at = put(at, "\r\n");
  memcpy(at, reply->fields, reply->fields_size);
  at = put_frame(at + reply->fields_size, reply);
  if (reply->close)
    at = put(at, "Connection: close\r\n");
  else if (reply->keep_alive)
    at = put(at, "Connection: keep-alive\r\n");
  return (size_t)(put(at, "\r\n") - out);
}

static bool is_clean(const char *value, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 127) return false;
  return true;
}

static bool is_name(const char *name, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (!tiny_http_is_token((unsigned char)name[i])) return false;
  return size > 0;
}

size_t tiny_http_put_field(char *out, size_t room, size_t used, const char *name, size_t name_size,
                           const char *value, size_t value_size) {
  if (!is_name(name, name_size) || !is_clean(value, value_size)) return 0;
  if (room - used < name_size + value_size + 4) return 0;
  memcpy(out + used, name, name_size);
  used += name_size;
  memcpy(out + used, ": ", 2);
  memcpy(out + used + 2, value, value_size);
  used += value_size + 2;
  memcpy(out + used, "\r\n", 2);
  return used + 2;
}
