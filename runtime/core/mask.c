/* SPDX-License-Identifier: MIT
 * mask.c -- secrets out of a configuration. Rather one too many than one too few. */
#include "mask.h"
#include "utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char hidden[] = "***";

typedef struct span {
  const char *text;
  size_t size;
} span;

/* The word is in small letters. */
static bool contains(span in, const char *word) {
  size_t size = strlen(word);
  for (size_t i = 0; i + size <= in.size; i++)
    if (tolower((unsigned char)in.text[i]) == *word && strncasecmp(in.text + i, word, size) == 0)
      return true;
  return false;
}

static bool is_one_of(span word, const char *const *list) {
  for (; *list; list++)
    if (word.size == strlen(*list) && strncasecmp(word.text, *list, word.size) == 0) return true;
  return false;
}

static bool is_letter_or_digit(char c) { return isalnum((unsigned char)c); }
static bool is_capital(char c) { return isupper((unsigned char)c); }
static bool is_small(char c) { return islower((unsigned char)c); }

/* Whether a word of camelCase begins at 'at', as Key does in apiKey and SSHKey. */
static bool is_hump(const char *text, size_t at, size_t end) {
  if (at == end || !is_capital(text[at])) return false;
  return is_small(text[at - 1]) || (at + 1 < end && is_small(text[at + 1]));
}

/* Cut the last word off 'key'. */
static span last_word(span *key) {
  const char *text = key->text;
  size_t end = key->size;
  while (end > 0 && !is_letter_or_digit(text[end - 1])) end--;
  size_t start = end;
  while (start > 0 && is_letter_or_digit(text[start - 1]) && !is_hump(text, start, end)) start--;
  key->size = start;
  return (span){text + start, end - start};
}

bool tiny_mask_is_secret(const char *text, size_t size) {
  static const char *const inside[] = {"password",  "passwd",  "passphrase", "secret",
                                       "token",     "apikey",  "privatekey", "privkey",
                                       "accesskey", "authkey", "credential", NULL};
  static const char *const last[] = {"key", "keys", "pass", "pwd", "psk", NULL};
  static const char *const harmless[] = {"public", "pub",       "primary", "foreign",
                                         "sort",   "partition", "routing", NULL};
  span key = {text, size};
  for (int i = 0; inside[i]; i++)
    if (contains(key, inside[i])) return true;
  return is_one_of(last_word(&key), last) && !is_one_of(last_word(&key), harmless);
}

/* Text that grows; 'failed' stays set once memory was refused. */
typedef struct text {
  char *bytes;
  size_t size, room;
  bool failed;
} text;

static void put(text *out, const char *bytes, size_t size) {
  if (size == 0) return;
  if (out->size + size > out->room) {
    size_t room = 2 * (out->size + size);
    char *more = realloc(out->bytes, room);
    if (!more) out->failed = true;
    if (!more) return;
    out->bytes = more;
    out->room = room;
  }
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
}

static size_t until(span in, size_t from, const char *stops) {
  while (from < in.size && (unsigned char)in.text[from] > ' ' && !strchr(stops, in.text[from]))
    from++;
  return from;
}

static size_t last_of(span in, size_t from, size_t end, char c) {
  const char *found = memrchr(in.text + from, c, end - from);
  return found ? (size_t)(found - in.text) : 0;
}

/* Where the user's part of the address at 'from' ends: its "@", or 0. A password may have an
 * unescaped "/", which then shows by a port that is no number. */
static size_t user_end(span in, size_t from) {
  size_t end = until(in, from, "/?#\"'"), at = last_of(in, from, end, '@');
  size_t colon = last_of(in, from, end, ':');
  if (at || !colon || colon + 1 == end || isdigit((unsigned char)in.text[colon + 1])) return at;
  return last_of(in, from, until(in, from, "\"'"), '@');
}

static bool is_url(span in, size_t at) {
  return at + 3 <= in.size && memcmp(in.text + at, "://", 3) == 0;
}

/* The password of "://user:password@" at 'at': its first byte, or 0, and its 'end'. */
static size_t user_password(span in, size_t at, size_t *end) {
  if (!is_url(in, at)) return 0;
  *end = user_end(in, at + 3);
  const char *colon = *end ? memchr(in.text + at + 3, ':', *end - at - 3) : NULL;
  return colon ? (size_t)(colon + 1 - in.text) : 0;
}

/* The same for "?password=" and "&token=". */
static size_t query_password(span in, size_t at, size_t *end) {
  if (in.text[at] != '?' && in.text[at] != '&' && in.text[at] != ';') return 0;
  size_t equals = until(in, at + 1, "=&;#\"'");
  if (equals == in.size || in.text[equals] != '=') return 0;
  if (!tiny_mask_is_secret(in.text + at + 1, equals - at - 1)) return 0;
  *end = until(in, equals + 1, "&;#\"'");
  return equals + 1;
}

/* Put 'in' without the passwords of the URLs in it. */
static void put_shown(text *out, span in) {
  size_t done = 0, end = 0;
  bool url = false;
  for (size_t i = 0; i < in.size; i++) {
    size_t from = user_password(in, i, &end);
    url = url || is_url(in, i);
    if (!from && url) from = query_password(in, i, &end);
    if (!from || from == end) continue;
    put(out, in.text + done, from - done);
    put(out, hidden, strlen(hidden));
    done = end;
    i = end - 1;
  }
  put(out, in.text + done, in.size - done);
}

static json_t *shown_string(const json_t *value) {
  text out = {0};
  put_shown(&out, (span){json_string_value(value), json_string_length(value)});
  if (!out.failed) tiny_utf8_mend(out.bytes, out.size);
  json_t *copy = out.failed ? NULL : json_stringn(out.size ? out.bytes : "", out.size);
  free(out.bytes);
  return copy;
}

static json_t *shown(const json_t *value);

static json_t *shown_array(const json_t *value) {
  json_t *copy = json_array();
  for (size_t i = 0; copy && i < json_array_size(value); i++)
    if (json_array_append_new(copy, shown(json_array_get(value, i))) != 0) {
      json_decref(copy);
      copy = NULL;
    }
  return copy;
}

static int add_shown(json_t *copy, span key, const json_t *value) {
  bool secret = tiny_mask_is_secret(key.text, key.size) && !json_is_null(value);
  json_t *member = secret ? json_string(hidden) : shown(value);
  text name = {0};
  put(&name, key.text, key.size + 1); /* with its NUL, so that there is something to point at */
  if (name.failed) json_decref(member);
  if (name.failed) return -1;
  tiny_utf8_mend(name.bytes, key.size);
  int rc = json_object_setn_new(copy, name.bytes, key.size, member);
  free(name.bytes);
  return rc;
}

static json_t *shown_object(const json_t *value) {
  json_t *copy = json_object();
  for (void *i = json_object_iter((json_t *)value); copy && i;
       i = json_object_iter_next((json_t *)value, i)) {
    span key = {json_object_iter_key(i), json_object_iter_key_len(i)};
    if (add_shown(copy, key, json_object_iter_value(i)) == 0) continue;
    json_decref(copy);
    copy = NULL;
  }
  return copy;
}

static json_t *shown(const json_t *value) {
  if (json_is_string(value)) return shown_string(value);
  if (json_is_array(value)) return shown_array(value);
  if (json_is_object(value)) return shown_object(value);
  return json_deep_copy(value);
}

/* The one secret that stands under no key of its own: {"a@x.com", "password"}. */
static int hide_mail_password(json_t *masked) {
  json_t *from = json_object_get(json_object_get(masked, "log.email.config"), "from");
  for (size_t i = 1; i < json_array_size(from); i++)
    if (json_array_set_new(from, i, json_string(hidden)) != 0) return -1;
  return 0;
}

json_t *tiny_mask(const json_t *keys) {
  json_t *masked = shown(keys);
  if (!masked || hide_mail_password(masked) == 0) return masked;
  json_decref(masked);
  return NULL;
}
