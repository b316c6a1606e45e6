/* SPDX-License-Identifier: MIT
 * module.h -- where the program and Lua meet. */
#ifndef MODULE_H
#define MODULE_H

#include "store.h"
#include <lua.h>
#include <tiny.h>

/* require "kv": kv.get(key), kv.set(key, value or nil), kv.count(). The runtime's data is the store. */
int module_open(lua_State *L);

/* Ask the policy: server:admit(op, key, value), which returns the value to go on with, true for the one
 * it got, or nil and a reason. */
typedef struct question {
  const char *op, *key, *value; /* value may be NULL */
  char answer[1024];            /* the value, or the reason */
  int admitted;
} question;
int module_ask(tiny *runtime, question *q, char *why, size_t why_size); /* as tiny_call() */

#endif
