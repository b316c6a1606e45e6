/* SPDX-License-Identifier: MIT
 * sigprof.h -- SIGPROF and LuaJIT's profiler, of which a process has one each.
 *
 * LuaJIT compiles a check of one flag into each line of the VM whose profiler is on,
 * and SIGPROF raises it: the only way to get compiled Lua's attention. Its timer is
 * not used; its handler is called when and where we want. */
#ifndef TINY_SIGPROF_H
#define TINY_SIGPROF_H

#include <lua.h>
#include <luajit.h>
#include <stdbool.h>

/* Called on a thread that was opened, by SIGPROF; 'context' as for any signal handler. */
typedef void (*tiny_sigprof_fn)(void *data, const void *context);

/* Take SIGPROF for the calling thread: send it with pthread_kill(). Others' SIGPROFs go to
 * the handler that was there before. Returns 0 or -1. One for each thread. */
int tiny_sigprof_open(tiny_sigprof_fn fn, void *data);

/* The end of that, on the same thread. No SIGPROF may be on its way to it. */
void tiny_sigprof_close(void);

/* Turn the profiler on for the VM of 'L', which loses its compiled code by that. Returns
 * false when another VM has it. On the VM's thread, with no Lua running; the thread is open. */
bool tiny_sigprof_start(lua_State *L, luaJIT_profile_callback fn, void *data);
void tiny_sigprof_stop(lua_State *L); /* compiled code is lost again */

/* Make the VM that has the profiler call its 'fn' before its next line or instruction.
 * Only from a tiny_sigprof_fn, on that VM's thread. */
void tiny_sigprof_trigger(void);

#endif
