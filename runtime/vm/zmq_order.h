/* SPDX-License-Identifier: MIT
 * zmq_order.h -- what a script asks of a ZeroMQ socket. */
#ifndef TINY_ZMQ_ORDER_H
#define TINY_ZMQ_ORDER_H

#include "zmq_socket.h"

#include <lua.h>

/* Read the table at 'index', which lua/tiny/zmq.lua has checked. What the order points to is held by
 * that table and by what is pushed. Raises when out of memory. */
tiny_zmq_order tiny_zmq_order_read(lua_State *L, int index);

#endif
