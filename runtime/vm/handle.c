/* SPDX-License-Identifier: MIT
 * handle.c -- userdata that refer to what C owns. */
#include "handle.h"

#include <stdlib.h>

static const char kind_key; /* in a metatable: the kind */

static int l_close(lua_State *L) {
  tiny_handle_close(lua_touserdata(L, 1));
  return 0;
}

void tiny_handle_register(lua_State *L, const tiny_handle_kind *kind) {
  luaL_newmetatable(L, kind->name);
  lua_pushlightuserdata(L, (void *)&kind_key);
  lua_pushlightuserdata(L, (void *)kind);
  lua_rawset(L, -3);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pushstring(L, kind->name);
  lua_setfield(L, -2, "__name");
}

tiny_handle *tiny_handle_new(lua_State *L, const tiny_handle_kind *kind) {
  tiny_handle *handle = lua_newuserdata(L, sizeof *handle);
  *handle = (tiny_handle){.kind = kind, .generation = tiny_generation_of(L)};
  luaL_getmetatable(L, kind->name);
  lua_setmetatable(L, -2);
  return handle;
}

void tiny_handle_set(tiny_handle *handle, void *thing) {
  tiny_generation *g = handle->generation;
  handle->thing = thing;
  handle->next = g->handle;
  if (g->handle) g->handle->prev = handle;
  g->handle = handle;
  g->handles++;
}

void tiny_handle_close(tiny_handle *handle) {
  tiny_generation *g = handle->generation;
  if (!handle->thing) return;
  if (handle->prev)
    handle->prev->next = handle->next;
  else
    g->handle = handle->next;
  if (handle->next) handle->next->prev = handle->prev;
  g->handles--;
  handle->kind->drop(handle->thing);
  handle->thing = NULL;
  handle->prev = handle->next = NULL;
}

void tiny_handles_close(tiny_generation *g) {
  while (g->handle) tiny_handle_close(g->handle);
}

/* -- by their metatable ---------------------------------------------------- */

static const tiny_handle_kind *kind_of(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return NULL;
  lua_pushlightuserdata(L, (void *)&kind_key);
  lua_rawget(L, -2);
  const tiny_handle_kind *kind = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return kind;
}

tiny_handle *tiny_handle_check(lua_State *L, int index, const tiny_handle_kind *kind) {
  tiny_handle *handle = lua_touserdata(L, index);
  if (!handle || lua_objlen(L, index) != sizeof *handle || handle->kind != kind)
    luaL_typerror(L, index, kind->name);
  return handle;
}

/* -- carrying -------------------------------------------------------------- */

struct tiny_carried {
  tiny_carried *next;
  const tiny_handle_kind *kind;
  void *thing; /* held for the handle to come; NULL: it is closed */
  bool given;
};

bool tiny_handle_carries(lua_State *L, int index) {
  const tiny_handle_kind *kind = kind_of(L, index);
  return kind && kind->hold;
}

void *tiny_carried_take(lua_State *from, void *data) {
  tiny_carried **list = data;
  const tiny_handle_kind *kind = kind_of(from, -1);
  tiny_carried *carried = kind && kind->hold ? calloc(1, sizeof *carried) : NULL;
  if (!carried) return NULL;
  *carried = (tiny_carried){*list, kind, ((tiny_handle *)lua_touserdata(from, -1))->thing, false};
  if (carried->thing) kind->hold(carried->thing);
  *list = carried;
  return carried;
}

/* A state that has never used streams has no metatable for them yet. */
void tiny_carried_give(lua_State *to, void *taken, void *data) {
  tiny_carried *carried = taken;
  (void)data;
  lua_getglobal(to, "require");
  lua_pushstring(to, carried->kind->module);
  lua_call(to, 1, 0);
  tiny_handle *handle = tiny_handle_new(to, carried->kind);
  if (carried->thing) tiny_handle_set(handle, carried->thing);
  carried->given = true;
}

void tiny_carried_settle(tiny_carried **list, const tiny_generation *to) {
  for (tiny_carried *c = *list, *next; c; c = next) {
    next = c->next;
    if (c->thing && !c->given)
      c->kind->drop(c->thing);
    else if (c->thing && to)
      c->kind->move(c->thing, to);
    free(c);
  }
  *list = NULL;
}

void tiny_handles_back(tiny_generation *candidate, const tiny_generation *generation) {
  for (tiny_handle *handle = candidate->handle; handle; handle = handle->next)
    if (handle->kind->move) handle->kind->move(handle->thing, generation);
}
