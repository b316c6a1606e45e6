/* SPDX-License-Identifier: MIT
 * allocator.h -- a limit to what one VM may allocate (svr.lua.memory_limit).
 *
 * Over it Lua gets its ordinary "not enough memory" error. LuaJIT does not collect when an
 * allocation fails, so it is made to collect early and thoroughly as the limit comes near. */
#ifndef TINY_ALLOCATOR_H
#define TINY_ALLOCATOR_H

#include <lua.h>
#include <stddef.h>

typedef struct tiny_allocator {
  lua_Alloc inner; /* the VM's own */
  void *inner_data;
  lua_State *L;
  size_t used, limit; /* bytes */
  int pressure;       /* index into what the collector is told */
} tiny_allocator;

/* Limit the VM of 'L' to 'limit' bytes from now on; it is closed by tiny_allocator_close(). Returns 0, or -1 when the VM has more than half of that already. VM's thread. The JIT
 * must be off for good: compiled code has been seen to crash when an allocation of it fails. */
int tiny_allocator_limit(tiny_allocator *allocator, lua_State *L, size_t limit);

/* lua_cpcall() with some memory to spare, for what has to be done about a lack of it. */
int tiny_allocator_call(tiny_allocator *allocator, lua_State *L, lua_CFunction fn, void *data);

/* Collect all garbage, when an out-of-memory error has come back to C: what failed is garbage by
 * now, but still in the way of every next step. Harmless without a limit. VM's thread. */
void tiny_allocator_recover(tiny_allocator *allocator, lua_State *L);

/* lua_close(), limited or not: finalizers that it calls have no limit. */
void tiny_allocator_close(tiny_allocator *allocator, lua_State *L);

#endif
