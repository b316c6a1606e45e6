/* SPDX-License-Identifier: MIT
 * wait.h -- how a C function that may wait gives its results to task.wait (lua/tiny/task.lua):
 * nil, true and the results, or, when it was woken, nil alone: it is called again then. And how one tells that
 * it has failed. */
#ifndef TINY_WAIT_H
#define TINY_WAIT_H

#include "task.h"

/* Push nil, true: return 2 + the number of results pushed after it. */
static inline void tiny_wait_over(lua_State *L) {
  lua_pushnil(L);
  lua_pushboolean(L, 1);
}

/* return tiny_failed(...), of a function that does not wait: nil, code, for task.failure. */
static inline int tiny_failed(lua_State *L, int code) {
  lua_pushnil(L);
  lua_pushinteger(L, code);
  return 2;
}

/* return tiny_wait_failed(...): Lua's caller gets nil, message, NAME. */
static inline int tiny_wait_failed(lua_State *L, int code) {
  tiny_wait_over(L);
  lua_pushnil(L);
  lua_pushinteger(L, code);
  return 4;
}

static inline int tiny_wait_true(lua_State *L) {
  tiny_wait_over(L);
  lua_pushboolean(L, 1);
  return 3;
}

/* A deadline as Lua gives it, in seconds of tiny.now(), as CLOCK_MONOTONIC ns; 0 for nil. */
static inline uint64_t tiny_wait_deadline(lua_State *L, int index) {
  lua_Number seconds = lua_tonumber(L, index);
  return seconds > 0 && seconds < 9e9 ? (uint64_t)(seconds * 1e9) : 0;
}

static inline bool tiny_wait_late(uint64_t deadline_ns) {
  return deadline_ns && tiny_timers_now() >= deadline_ns;
}

#endif
