/* SPDX-License-Identifier: MIT
 * tiny.h -- the runtime as a C library.
 *
 * A runtime runs one server: a conf.lua and the script that it names. Any number of them fit in a
 * process. The thread that first calls tiny_run() or tiny_step() is the runtime's loop thread: all Lua
 * runs there, but for the loading of new code, which has a thread of its own.
 *
 * Unless asked for, nothing here ends the process, prints, handles signals, or leaves files. Functions
 * that return int return 0, or what they say, or a negative errno value:
 *   -EINVAL     an argument is NULL or out of its range
 *   -EBADF      this runtime has been freed (as long as no other one lies at its address)
 *   -EPERM      called on another thread than the loop's
 *   -EBUSY      called from inside itself, or too early, or too late, as each says
 *   -EAGAIN     no generation serves just now: at the start, and in the midst of a reload
 *   -ESHUTDOWN  the runtime has closed
 *   -ENOMEM     out of memory; nothing has happened */
#ifndef TINY_H
#define TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_API __attribute__((visibility("default")))

struct lua_State; /* LuaJIT's; include its lua.h to do something with one */

typedef struct tiny tiny;

typedef enum tiny_level { TINY_DEBUG, TINY_INFO, TINY_WARN, TINY_ERROR } tiny_level;

/* A line of the log. All of it lives during the call only. */
typedef struct tiny_logged {
  tiny_level level;
  uint64_t time_ns;   /* since 1970, UTC */
  const char *text;   /* any bytes; not terminated */
  size_t text_size;   /* bytes */
  const char *file;   /* where it was written, without folders; "" where unknown */
  unsigned line;      /* 0 where unknown */
  const char *fields; /* JSON text of an object, not terminated; "" for none */
  size_t fields_size; /* bytes */
} tiny_logged;

/* A module of the program's own: 'open' is called by require(name), in each generation for itself.
 * That is on the thread that loads the generation when the script requires it at its top level: an
 * 'open' that touches more than the state it gets has to be ready for that. */
typedef struct tiny_library {
  const char *name;                     /* "kv"; a dot is allowed */
  int (*open)(struct lua_State *state); /* a lua_CFunction: returns the module */
} tiny_library;

/* How a runtime is made. Fill with zeros first: what is 0 or NULL is off or has its default. Everything
 * is copied but 'data'. */
typedef struct tiny_options {
  const char *conf;   /* path of conf.lua; NULL: "conf.lua" */
  const char *script; /* instead of svr.script; NULL: as configured */
  int argc;           /* how many strings 'argv' has: self.args */
  char *const *argv;  /* NULL when there are none */

  const tiny_library *libraries; /* ends with one whose name is NULL; NULL: none */
  void *data;                    /* for tiny_data() and the functions below; the caller's */

  /* Told every line of level 'log_level' and above, next to the sinks of conf.lua, on the log's thread.
   * While it does not return, lines wait (log.buffer). It must not call the functions of this header.
   * NULL: nobody is. */
  void (*log)(void *data, const tiny_logged *line);
  tiny_level log_level;

  /* Closing was forced: svr.close.force_close_delay has passed, or Lua hung, and with 'exits' the process
   * would end now with 'code'. What was logged has been written. Called on a thread of the runtime's; the
   * loop thread may be anywhere. If Lua ever comes back, 'code' is the exit code. NULL: nobody is told. */
  void (*forced)(void *data, int code);

  /* Begin with an empty context, whatever checkpoints there are. */
  bool fresh;
  /* Do as conf.lua's log.console says; without it nothing is written to stdout and stderr. */
  bool console;
  /* Be found by `tiny status` and the like: keep pid file, control socket and conf.lua.run. */
  bool control;
  /* Take SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGQUIT. One runtime in a process may. */
  bool signals;
  /* The process is this server's: it may be ended when closing has to be forced, its limit of open files
   * is raised, it becomes svr.user, and the sockets that came with it (LISTEN_FDS) are taken. */
  bool exits;
  /* Take SIGPROF, to interrupt Lua that hangs and to profile it. Of several runtimes that do, one at a time
   * has it for compiled Lua; the others run without the JIT. */
  bool interrupts;
  /* Tell the service manager how we are (NOTIFY_SOCKET, WATCHDOG_USEC). */
  bool notifies;
  /* Tell of SIGSEGV, SIGABRT, SIGBUS and SIGFPE in the log, then let them happen. */
  bool crashes;

  void *reserved[8]; /* NULL */
} tiny_options;

/* What tiny_run() and tiny_exit_code() return, besides what the script asked for with self:close(). */
enum {
  TINY_EXIT_OK = 0,
  TINY_EXIT_START = 1,    /* it could not start */
  TINY_EXIT_FORCED = 252, /* closing had to be forced */
  TINY_EXIT_HUNG = 253,   /* ended by the watchdog */
  TINY_EXIT_ERROR = 254,  /* an error that on_except did not accept */
  TINY_EXIT_EXCEPT = 255  /* on_except itself failed */
};

/* How something asked for has ended: whether it was done, and in words, which live during the call only.
 * Called once, on the loop thread, from inside tiny_run() or tiny_step(). */
typedef void (*tiny_done)(void *data, bool done, const char *text);

/* -- making and freeing --------------------------------------------------------------------- */

/* Make a runtime; nothing of conf.lua is read yet. Any thread. Returns NULL, with the reason in 'why',
 * when an option makes no sense, memory or threads cannot be had, or another runtime has the
 * signals. 'why' takes up to 'why_size' bytes; it may be NULL when that is 0. Give it back
 * with tiny_free(). */
TINY_API tiny *tiny_new(const tiny_options *options, char *why, size_t why_size);

/* Free a runtime that has closed, or was never run. NULL is allowed. Any thread, but no other may be about
 * to use it. Returns 0; -EBUSY while it runs; -EBADF when it has been freed before. */
TINY_API int tiny_free(tiny *runtime);

/* Load conf and script in a throw-away generation, running no callback of it; of the options only
 * conf, script and libraries count. Blocks for up to svr.load_timeout. Any thread. Returns 0, or -1 with
 * the reason (file and line where there is one) in 'why', as for tiny_new(). */
TINY_API int tiny_check(const tiny_options *options, char *why, size_t why_size);

/* The library's version, "0.1.0". Static. Any thread. */
TINY_API const char *tiny_version(void);

/* -- running: either this ... ----------------------------------------------------------------- */

/* Run the server on the calling thread, from now on its loop thread, until it has closed. Returns the
 * exit code. -EBUSY when it has been run before or is being stepped. */
TINY_API int tiny_run(tiny *runtime);

/* -- ... or a loop of the caller's own that calls these three ----------------------------------- */

/* A descriptor that is readable when tiny_step() has something to do: for epoll, poll or select. The
 * runtime's; the same until tiny_free(). Any thread. */
TINY_API int tiny_fd(tiny *runtime);

/* How many milliseconds may pass until the next tiny_step(), if the descriptor is not readable before;
 * -1: any number. 0 also where tiny_step() would fail. Loop thread; ask anew after each tiny_step() and
 * tiny_call(). */
TINY_API int tiny_timeout(tiny *runtime);

/* Do what there is to do, without waiting for more. The calling thread becomes the loop thread the first
 * time, when the server begins to start. Returns 1 while it goes on and 0 when it has closed, the last time
 * after up to 2 s for helper threads and the log. -EPERM; -EBUSY from inside itself; -ESHUTDOWN. */
TINY_API int tiny_step(tiny *runtime);

/* The exit code of one that has closed; -EBUSY before. Any thread. */
TINY_API int tiny_exit_code(tiny *runtime);

/* -- asking, from any thread -------------------------------------------------------------------- */
/* None of these waits. Each returns 0 when it was taken, and then its function is called in any case, at
 * the latest while the runtime closes; -ESHUTDOWN when it has closed already. One that was never run
 * takes them too, and calls the functions in tiny_free(). */

/* Ask for a reload; 'done', which may be NULL, is told "reloaded: ..." or why it was refused. */
TINY_API int tiny_reload(tiny *runtime, tiny_done done, void *data);

/* Ask for closing after 'delay' seconds, 0 or more, with exit code 'code' from 0 to 255. Of several
 * such requests the one that is due first counts. 'done', which may be NULL, is told when it has closed. */
TINY_API int tiny_close(tiny *runtime, double delay, int code, tiny_done done, void *data);

/* Have 'work' called once on the loop thread, between the loop's turns, in order of posting. It may
 * use every function of this header but tiny_run(), tiny_step() and tiny_free(). */
TINY_API int tiny_post(tiny *runtime, void (*work)(tiny *runtime, void *data), void *data);

/* -- Lua ------------------------------------------------------------------------------------------ */

/* Call 'function' in the generation in force, protected: a lua_CFunction, with 'data' as a light
 * userdata for its one argument; what it returns is dropped. It may not wait (tiny.sleep and the like
 * raise), it must not keep the state, and tiny_push_server() gives it the server. Loop thread, outside of
 * Lua: inside, there is a state at hand already, and this returns -EBUSY.
 * Returns 0; 1 when it raised, with the error and its traceback in 'why', as for tiny_new() (the script's
 * on_except is not asked: the caller is who catches it); -EAGAIN, when to try again after the next
 * tiny_step(); -EPERM; -ESHUTDOWN. */
TINY_API int tiny_call(tiny *runtime, int (*function)(struct lua_State *state), void *data,
                       char *why, size_t why_size);

/* For functions that Lua calls: whose state this is. NULL when it is none of Tiny's. On the thread that
 * runs the state. */
TINY_API tiny *tiny_of(struct lua_State *state);

/* The 'data' of the options. Any thread; the runtime has not been freed. */
TINY_API void *tiny_data(const tiny *runtime);

/* Whether this state is still being loaded, beside the one that serves: functions that act must
 * refuse then, with luaL_error(). On the thread that runs the state. */
TINY_API bool tiny_loading(struct lua_State *state);

/* Push the server, what callbacks have as self; nil while loading. On the thread that runs the state. */
TINY_API void tiny_push_server(struct lua_State *state);

#ifdef __cplusplus
}
#endif

#endif
