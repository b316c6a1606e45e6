/* SPDX-License-Identifier: MIT
 * path.c -- one step of a path at a time. */
#include "path.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_identifier(const char *text, size_t size) {
  if (size == 0 || isdigit((unsigned char)text[0])) return false;
  for (size_t i = 0; i < size; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  return true;
}

/* A key in brackets and quotes. Long keys are cut, control characters escaped. */
static void quote(char *out, size_t size, const char *text, size_t length) {
  size_t at = (size_t)snprintf(out, size, "[\"");
  for (size_t i = 0; i < length && i < 64 && at < size; i++) {
    unsigned char c = (unsigned char)text[i];
    const char *form = c < ' ' || c == 127 ? "\\%d" : c == '"' || c == '\\' ? "\\%c" : "%c";
    at += (size_t)snprintf(out + at, size - at, form, c);
  }
  if (at < size) snprintf(out + at, size - at, length > 64 ? "...\"]" : "\"]");
}

void tiny_path_step(char *path, size_t size, lua_State *L, int index) {
  size_t used = strlen(path), length;
  char *out = path + used;
  size -= used;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, index, &length);
    if (!is_identifier(text, length)) return quote(out, size, text, length);
    snprintf(out, size, ".%s", text);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    snprintf(out, size, "[%.14g]", lua_tonumber(L, index));
  } else if (lua_type(L, index) == LUA_TBOOLEAN) {
    snprintf(out, size, "[%s]", lua_toboolean(L, index) ? "true" : "false");
  } else {
    snprintf(out, size, "[a %s]", lua_typename(L, lua_type(L, index)));
  }
}
