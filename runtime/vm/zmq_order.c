/* SPDX-License-Identifier: MIT
 * zmq_order.c -- the fields of an order's table. */
#include "zmq_order.h"
#include "field.h"

#include <lauxlib.h>
#include <limits.h>

/* Below 0 when it is not given. */
static int amount(lua_State *L, int index, const char *name, lua_Number factor) {
  lua_Number number = tiny_field_number(L, index, name, -1) * factor;
  return number < INT_MAX ? (int)number : INT_MAX;
}

tiny_zmq_order tiny_zmq_order_read(lua_State *L, int index) {
  luaL_checkstack(L, 8, "not enough memory");
  return (tiny_zmq_order){
      .type = tiny_field_string(L, index, "type"),
      .binds = tiny_field_list(L, index, "bind"),
      .connects = tiny_field_list(L, index, "connect"),
      .send_hwm = amount(L, index, "send_hwm", 1),
      .recv_hwm = amount(L, index, "recv_hwm", 1),
      .linger_ms = amount(L, index, "linger", 1000),
      .heartbeat_ms = amount(L, index, "heartbeat", 1000),
      .max_size = amount(L, index, "max_size", 1),
      .identity = tiny_field_string(L, index, "identity"),
      .curve = {.public_key = tiny_field_string(L, index, "public_key"),
                .secret_key = tiny_field_string(L, index, "secret_key"),
                .server_key = tiny_field_string(L, index, "server_key"),
                .clients = tiny_field_list(L, index, "clients")},
  };
}
