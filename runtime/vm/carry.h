/* SPDX-License-Identifier: MIT
 * carry.h -- plain Lua data copied from one state into another: the context at a
 * reload, results of thread timers, checkpoints.
 *
 * Copied are nil, booleans, numbers, strings, int64_t and uint64_t cdata, cjson.null
 * (lightuserdata NULL), tables of these without metatables, and userdata that the
 * caller knows how to hand over. Shared references, cycles and table keys stay what
 * they are. Depth is bounded by memory, not by the C stack. */
#ifndef TINY_CARRY_H
#define TINY_CARRY_H

#include <lua.h>
#include <stddef.h>

/* Hands one userdata over: with it on top of from's stack, push its counterpart
 * on 'to' and return 1; return 0 where it is not of a kind that can be. May be NULL. */
typedef int (*tiny_carry_fn)(lua_State *from, lua_State *to, void *data);

/* Copy the value at 'index' of 'from' onto the top of 'to'. Neither state may run
 * meanwhile. On success returns 0. Otherwise returns -1, leaves both stacks as they
 * were, and writes the reason with the path of the culprit, such as
 * "context.db.conn is a userdata", into 'why'; 'name' is the path's first word.
 * Never raises, out of memory in either state included. */
int tiny_carry(lua_State *from, int index, lua_State *to, const char *name, tiny_carry_fn hand_over,
               void *data, char *why, size_t why_size);

/* Only check that the value at 'index' could be carried. Same results. */
int tiny_carry_check(lua_State *from, int index, const char *name, char *why, size_t why_size);

#endif
