/* SPDX-License-Identifier: MIT
 * guard.h -- what a script must not take away from the runtime: its hooks, its
 * profiler and its say in whether the JIT compiles. */
#ifndef TINY_GUARD_H
#define TINY_GUARD_H

#include <lua.h>
#include <stdbool.h>

typedef enum tiny_jit {
  TINY_JIT_OFF,  /* for now */
  TINY_JIT_ON,   /* unless the script turned it off or it was TINY_JIT_NEVER once */
  TINY_JIT_NEVER /* for this VM's life */
} tiny_jit;

/* Guard a VM and turn its JIT off. A lua_CFunction for lua_cpcall(), after luaL_openlibs()
 * (which turns the JIT on) and before any script; takes no argument. */
int tiny_guard_open(lua_State *L);

/* End of a hook: raise the error on top. After a plain lua_error() in a hook LuaJIT calls no hook
 * until the error has been caught by pcall() or a resume: a message handler that loops could not
 * be stopped, and after a load() whose reader was hit nothing any more. Does not return. */
int tiny_guard_raise(lua_State *L);

/* Whether debug.sethook() does nothing for now. VM's thread. */
void tiny_guard_lock_hook(lua_State *L, bool locked);

/* Let the JIT compile or not. jit.on() and jit.off() only state the script's wish.
 * On the VM's thread; the VM was guarded. Does not raise outside of finalizers. */
void tiny_guard_jit(lua_State *L, tiny_jit jit);

#endif
