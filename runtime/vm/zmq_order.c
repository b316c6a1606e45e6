/* SPDX-License-Identifier: MIT
 * zmq_order.c -- the fields of an order's table. */
#include "zmq_order.h"

#include <lauxlib.h>
#include <limits.h>

static const char *string_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *text = lua_isnil(L, -1) ? NULL : lua_tostring(L, -1);
  lua_pop(L, 1); /* the table holds it */
  return text;
}

/* Below 0 when it is not given. */
static int number_field(lua_State *L, int index, const char *name, lua_Number factor) {
  lua_getfield(L, index, name);
  lua_Number number = lua_isnil(L, -1) ? -1 : lua_tonumber(L, -1) * factor;
  lua_pop(L, 1);
  return number < INT_MAX ? (int)number : INT_MAX;
}

/* The strings of a list, NULL after the last; NULL for no list. */
static const char *const *list_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  if (lua_isnil(L, -1)) return NULL;
  int count = (int)lua_objlen(L, -1);
  const char **list = lua_newuserdata(L, ((size_t)count + 1) * sizeof *list);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  list[count] = NULL;
  return list;
}

tiny_zmq_order tiny_zmq_order_read(lua_State *L, int index) {
  luaL_checkstack(L, 8, "not enough memory");
  return (tiny_zmq_order){
      .type = string_field(L, index, "type"),
      .binds = list_field(L, index, "bind"),
      .connects = list_field(L, index, "connect"),
      .send_hwm = number_field(L, index, "send_hwm", 1),
      .recv_hwm = number_field(L, index, "recv_hwm", 1),
      .linger_ms = number_field(L, index, "linger", 1000),
      .heartbeat_ms = number_field(L, index, "heartbeat", 1000),
      .max_size = number_field(L, index, "max_size", 1),
      .identity = string_field(L, index, "identity"),
      .curve = {.public_key = string_field(L, index, "public_key"),
                .secret_key = string_field(L, index, "secret_key"),
                .server_key = string_field(L, index, "server_key"),
                .clients = list_field(L, index, "clients")},
  };
}
