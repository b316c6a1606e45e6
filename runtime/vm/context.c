/* SPDX-License-Identifier: MIT
 * context.c -- what of the context may be carried where, and by whom. */
#include "context.h"
#include "handle.h"
#include "runtime.h"

#include <stdio.h>

static int push_context(lua_State *L) {
  tiny_generation *g = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->driver);
  lua_getfield(L, -1, "context");
  lua_call(L, 0, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX,
              g->context); /* the slot was taken at loading: no memory needed */
  return 0;
}

static tiny_carry_terms context_terms(const tiny_generation *g) {
  return (tiny_carry_terms){
      .name = "context",
      .remedy = "keep it in self and make it again in on_start",
      .take = tiny_carried_take,
      .give = tiny_carried_give,
      .data = &g->runtime->change.carried,
  };
}

static int pack(tiny_generation *g, const tiny_carry_terms *terms, tiny_parcel *parcel, char *why,
                size_t why_size) {
  if (tiny_lua_call(g, push_context, g) != 0) {
    snprintf(why, why_size, "context: %s", lua_tostring(g->L, -1));
    lua_pop(g->L, 1);
    return -1;
  }
  lua_rawgeti(g->L, LUA_REGISTRYINDEX, g->context);
  int rc = tiny_carry_pack(g->L, -1, terms, parcel, why, why_size);
  lua_pop(g->L, 1);
  return rc;
}

static int unpack(tiny_generation *g, const tiny_carry_terms *terms, const tiny_parcel *parcel,
                  char *why, size_t why_size) {
  if (tiny_carry_unpack(g->L, parcel, terms, why, why_size) != 0) return -1;
  lua_rawseti(g->L, LUA_REGISTRYINDEX, g->context);
  return 0;
}

int tiny_generation_pack(tiny_generation *g, tiny_parcel *parcel, char *why, size_t why_size) {
  tiny_carry_terms terms = context_terms(g);
  return pack(g, &terms, parcel, why, why_size);
}

int tiny_generation_unpack(tiny_generation *g, const tiny_parcel *parcel, char *why,
                           size_t why_size) {
  tiny_carry_terms terms = context_terms(g);
  return unpack(g, &terms, parcel, why, why_size);
}

/* What a reload could hand over does not outlive the process: nil stands for it. */
static void *leave_out(lua_State *from, void *data) {
  (void)data;
  return (void *)(uintptr_t)tiny_handle_carries(from, -1);
}

static void give_nil(lua_State *to, void *taken, void *data) {
  (void)taken, (void)data;
  lua_pushnil(to);
}

static const tiny_carry_terms saved_terms = {
    .name = "context",
    .remedy = "keep it in self and make it again in on_start",
    .take = leave_out,
    .give = give_nil,
};

int tiny_generation_save(tiny_generation *g, tiny_parcel *parcel, char *why, size_t why_size) {
  return pack(g, &saved_terms, parcel, why, why_size);
}

int tiny_generation_restore(tiny_generation *g, const tiny_parcel *parcel, char *why,
                            size_t why_size) {
  return unpack(g, &saved_terms, parcel, why, why_size);
}
