/* SPDX-License-Identifier: MIT
 * address.c -- reading and writing addresses. */
#include "address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *text, const char *what, char *why, size_t why_size) {
  snprintf(why, why_size, "bad address \"%.200s\": %s", text, what);
  return -1;
}

/* -- parsing --------------------------------------------------------------- */

/* Digits only, 65535 at most. Returns -1 for anything else. */
static int parse_port(const char *text) {
  int port = 0;
  if (!*text || strlen(text) > 5) return -1;
  for (; *text; text++) {
    if (!isdigit((unsigned char)*text)) return -1;
    port = port * 10 + (*text - '0');
  }
  return port <= 65535 ? port : -1;
}

/* Letters, digits, '-', '_' and single dots between them; the last part is no number, which
 * a mistyped IPv4 address would be. */
static bool is_name(const char *text) {
  size_t size = strlen(text), label = 0;
  const char *last = text;
  if (size == 0 || size > 253) return false;
  for (const char *c = text; *c; c++) {
    if (*c == '.' && label == 0) return false;
    if (*c != '.' && !isalnum((unsigned char)*c) && *c != '-' && *c != '_') return false;
    label = *c == '.' ? 0 : label + 1;
    if (label > 63) return false;
    if (*c == '.' && c[1]) last = c + 1;
  }
  return strspn(last, "0123456789.") != strlen(last);
}

static bool is_ip4(const char *text) {
  struct in_addr ip;
  return inet_pton(AF_INET, text, &ip) == 1;
}

static bool read_ip6(const char *text, struct sockaddr_in6 *out) {
  char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
  snprintf(host, sizeof host, "%s", text);
  char *scope = strchr(host, '%');
  if (scope) *scope++ = 0;
  out->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
  return inet_pton(AF_INET6, host, &out->sin6_addr) == 1 && (!scope || out->sin6_scope_id > 0);
}

static int parse_ip(const char *text, tiny_address *a, char *why, size_t why_size) {
  struct sockaddr_in6 ip6;
  const char *colon = strrchr(text, ':');
  bool brackets = text[0] == '[';
  const char *host = text + brackets, *end = brackets ? strchr(text, ']') : colon;
  if (!colon || !end || (brackets && colon != end + 1))
    return bad(text, "expected host:port, [ip6]:port, unix:path or fd:NAME", why, why_size);
  int port = parse_port(colon + 1);
  if (port < 0) return bad(text, "the port is a number from 0 to 65535", why, why_size);
  if ((size_t)(end - host) >= sizeof a->host)
    return bad(text, "the name is too long", why, why_size);
  memcpy(a->host, host, (size_t)(end - host));
  a->host[end - host] = 0;
  a->port = (uint16_t)port;
  if (brackets ? read_ip6(a->host, &ip6) : is_ip4(a->host) || is_name(a->host)) return 0;
  if (!brackets && strchr(a->host, ':'))
    return bad(text, "IPv6 addresses stand in brackets", why, why_size);
  return bad(text, brackets ? "not an IPv6 address" : "neither an IPv4 address nor a name", why,
             why_size);
}

static int parse_unix(const char *text, const char *path, tiny_address *a, char *why,
                      size_t why_size) {
  if (!*path || strcmp(path, "@") == 0) return bad(text, "the path is missing", why, why_size);
  if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
    return bad(text, "a socket's path has 107 bytes at most", why, why_size);
  snprintf(a->host, sizeof a->host, "%s", path);
  return 0;
}

static int parse_fd(const char *text, const char *name, tiny_address *a, char *why,
                    size_t why_size) {
  if (!*name || strlen(name) >= sizeof a->host || strchr(name, ':'))
    return bad(text, "expected fd:NAME, a name that the service manager gave", why, why_size);
  snprintf(a->host, sizeof a->host, "%s", name);
  return 0;
}

int tiny_address_parse(const char *text, tiny_address *a, char *why, size_t why_size) {
  *a = (tiny_address){.kind = TINY_ADDRESS_IP};
  if (strncmp(text, "unix:", 5) == 0) {
    a->kind = TINY_ADDRESS_UNIX;
    return parse_unix(text, text + 5, a, why, why_size);
  }
  if (strncmp(text, "fd:", 3) == 0) {
    a->kind = TINY_ADDRESS_FD;
    return parse_fd(text, text + 3, a, why, why_size);
  }
  return parse_ip(text, a, why, why_size);
}

/* -- endpoints ------------------------------------------------------------- */

/* An abstract name begins with NUL and ends with the size; a path ends with NUL. */
static bool unix_endpoint(const char *path, tiny_endpoint *e) {
  size_t size = strlen(path);
  *e = (tiny_endpoint){.unix_path = {.sun_family = AF_UNIX}};
  memcpy(e->unix_path.sun_path, path, size);
  if (path[0] == '@') e->unix_path.sun_path[0] = 0;
  e->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] != '@'));
  return true;
}

bool tiny_address_literal(const tiny_address *a, tiny_endpoint *e) {
  if (a->kind == TINY_ADDRESS_UNIX) return unix_endpoint(a->host, e);
  if (a->kind == TINY_ADDRESS_FD) return false;
  *e = (tiny_endpoint){.size = sizeof e->ip4,
                       .ip4 = {.sin_family = AF_INET, .sin_port = htons(a->port)}};
  if (inet_pton(AF_INET, a->host, &e->ip4.sin_addr) == 1) return true;
  *e = (tiny_endpoint){.size = sizeof e->ip6,
                       .ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)}};
  return strchr(a->host, ':') && read_ip6(a->host, &e->ip6);
}

static void ip6_text(const struct sockaddr_in6 *ip6, char *text) {
  char host[INET6_ADDRSTRLEN], scope[IF_NAMESIZE + 1] = "%";
  inet_ntop(AF_INET6, &ip6->sin6_addr, host, sizeof host);
  if (!ip6->sin6_scope_id || !if_indextoname(ip6->sin6_scope_id, scope + 1)) scope[0] = 0;
  snprintf(text, TINY_ENDPOINT_TEXT, "[%s%s]:%d", host, scope, ntohs(ip6->sin6_port));
}

static void unix_text(const tiny_endpoint *e, char *text) {
  const char *path = e->unix_path.sun_path;
  size_t head = offsetof(struct sockaddr_un, sun_path);
  int size = e->size > head ? (int)(e->size - head) : 0;
  text[0] = 0;
  if (size > 1 && path[0] == 0)
    snprintf(text, TINY_ENDPOINT_TEXT, "unix:@%.*s", size - 1, path + 1);
  if (size > 0 && path[0] != 0) snprintf(text, TINY_ENDPOINT_TEXT, "unix:%.*s", size, path);
}

void tiny_endpoint_text(const tiny_endpoint *e, char text[TINY_ENDPOINT_TEXT]) {
  char host[INET_ADDRSTRLEN];
  switch (e->any.sa_family) {
  case AF_INET:
    inet_ntop(AF_INET, &e->ip4.sin_addr, host, sizeof host);
    snprintf(text, TINY_ENDPOINT_TEXT, "%s:%d", host, ntohs(e->ip4.sin_port));
    return;
  case AF_INET6: ip6_text(&e->ip6, text); return;
  default: unix_text(e, text);
  }
}

bool tiny_endpoint_same(const tiny_endpoint *a, const tiny_endpoint *b) {
  return a->size == b->size && memcmp(&a->any, &b->any, a->size) == 0;
}
