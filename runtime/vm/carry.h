/* SPDX-License-Identifier: MIT
 * carry.h -- plain Lua data copied from one state into another: the context at a
 * reload, results of thread timers, checkpoints.
 *
 * Copied are nil, booleans, numbers, strings, int64_t and uint64_t cdata, cjson.null
 * (lightuserdata NULL), tables of these without metatables, and userdata that the
 * caller knows how to hand over. Shared references, cycles and table keys stay what
 * they are. Depth is bounded by memory, not by the C stack.
 *
 * Packing is the quick half: it only reads. Unpacking makes every string and table anew
 * and takes some eight times as long, but needs only the parcel and the new state, so
 * it can run on another thread while the old state goes on. */
#ifndef TINY_CARRY_H
#define TINY_CARRY_H

#include <lua.h>
#include <stddef.h>

/* How something is carried. Zeroed except for the name it refuses all userdata. */
typedef struct tiny_carry_terms {
  const char *name;   /* first word of the paths in messages, such as "context" */
  const char *remedy; /* appended to messages about a culprit, or NULL */
  /* With a userdata on top of from's stack: what stands for it in the parcel, or NULL for a
   * kind that cannot be handed over. Called once for each userdata, before anything is made
   * in the new state. Must not raise, nor change the stack. */
  void *(*take)(lua_State *from, void *data);
  /* Push the counterpart of what was taken; nil leaves it out, as a key its value too. May raise:
   * then nothing is carried. */
  void (*give)(lua_State *to, void *taken, void *data);
  void *data;
} tiny_carry_terms;

/* A value outside of any state. Its bytes are its own, free(parcel.bytes) ends it. They mean
 * the same to every process of this machine type when no userdata were taken. */
typedef struct tiny_parcel {
  char *bytes;
  size_t size;
} tiny_parcel;

/* Pack the value at 'index' of 'from', which may not run meanwhile and is not changed.
 * Returns 0, or -1 with the reason in 'why', such as "context.db.conn is a userdata; <remedy>".
 * Never raises, out of memory included, and leaves the stack as it was. */
int tiny_carry_pack(lua_State *from, int index, const tiny_carry_terms *terms, tiny_parcel *parcel,
                    char *why, size_t why_size);

/* Push what was packed onto 'to'. Any bytes may be given: what is not a parcel, or a damaged
 * one, is refused. Returns 0, or -1 with the reason in 'why' and the stack as it was. Never raises. */
int tiny_carry_unpack(lua_State *to, const tiny_parcel *parcel, const tiny_carry_terms *terms,
                      char *why, size_t why_size);

#endif
