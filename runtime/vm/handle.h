/* SPDX-License-Identifier: MIT
 * handle.h -- what Lua holds of something that C owns: a userdata that refers to a thing until
 * it is closed, collected, or its generation retired, whichever comes first. Loop thread. */
#ifndef TINY_HANDLE_H
#define TINY_HANDLE_H

#include "generation.h"

#include <lauxlib.h>

typedef struct tiny_handle tiny_handle;

typedef struct tiny_handle_kind {
  const char *name;          /* "tiny.stream": of the metatable, and in messages */
  const char *module;        /* what a state has to require to have that metatable */
  void (*drop)(void *thing); /* one that referred to it does so no longer */
  /* For what can be carried into a newer generation, NULL for what cannot: one more refers to
   * it; and it is that generation's from here on. */
  void (*hold)(void *thing);
  void (*move)(void *thing, const tiny_generation *generation);
} tiny_handle_kind;

struct tiny_handle {
  const tiny_handle_kind *kind;
  tiny_generation *generation;
  tiny_handle *prev, *next; /* all open ones of the generation */
  void *thing;              /* NULL: closed */
};

/* Make the metatable and leave it on the stack. */
void tiny_handle_register(lua_State *L, const tiny_handle_kind *kind);

/* Push a new, still empty one. Raises when out of memory. */
tiny_handle *tiny_handle_new(lua_State *L, const tiny_handle_kind *kind);

/* It refers to 'thing' from here on. Cannot fail. */
void tiny_handle_set(tiny_handle *handle, void *thing);

/* Let go. Harmless to repeat. */
void tiny_handle_close(tiny_handle *handle);

/* The argument; raises when it is of another kind. Its thing may be NULL. */
tiny_handle *tiny_handle_check(lua_State *L, int index, const tiny_handle_kind *kind);

/* Close all of a generation's, before its state goes. */
void tiny_handles_close(tiny_generation *generation);

/* -- carrying them over with the context */

/* What is on its way from one state into another. */
typedef struct tiny_carried tiny_carried;

/* Whether the value at 'index' can be. */
bool tiny_handle_carries(lua_State *L, int index);

/* For tiny_carry_terms, whose data is a tiny_carried ** that points to NULL at first. */
void *tiny_carried_take(lua_State *from, void *data);
void tiny_carried_give(lua_State *to, void *taken, void *data);

/* Carrying is over: what was given is that generation's. With NULL it failed: what was taken
 * stays whose it was. Loop thread. */
void tiny_carried_settle(tiny_carried **carried, const tiny_generation *to);

/* What 'candidate' was given is 'generation''s again. */
void tiny_handles_back(tiny_generation *candidate, const tiny_generation *generation);

#endif
