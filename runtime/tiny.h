/* SPDX-License-Identifier: MIT
 * tiny.h -- the runtime as a C library. */
#ifndef TINY_H
#define TINY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_API __attribute__((visibility("default")))

typedef struct tiny tiny;

/* How a runtime is made. Zero it first; strings are copied. */
typedef struct tiny_options {
  const char *conf;   /* path of conf.lua; NULL: "conf.lua" */
  const char *script; /* instead of svr.script; NULL: as configured */
  int argc;           /* self.args */
  char *const *argv;
  bool signals;    /* take SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT */
  bool exits;      /* may end the process when closing has to be forced */
  bool interrupts; /* take SIGPROF, to interrupt Lua that hangs and to profile it */
  bool notifies;   /* tell the service manager how we are (NOTIFY_SOCKET, WATCHDOG_USEC) */
  bool crashes;    /* tell of SIGSEGV, SIGABRT, SIGBUS and SIGFPE in the log */
  bool fresh;      /* begin with an empty context, whatever checkpoints there are */
} tiny_options;

/* Exit codes of tiny_run(). */
enum {
  TINY_EXIT_OK = 0,
  TINY_EXIT_START = 1,    /* it could not start */
  TINY_EXIT_FORCED = 252, /* closing had to be forced */
  TINY_EXIT_HUNG = 253,   /* ended by the watchdog */
  TINY_EXIT_ERROR = 254,  /* an error that on_except did not accept */
  TINY_EXIT_EXCEPT = 255  /* on_except itself failed */
};

/* Make a runtime. Nothing of the conf is read yet. Returns NULL, with the reason
 * in 'why', when memory or threads could not be had. Free with tiny_free(). */
TINY_API tiny *tiny_new(const tiny_options *options, char *why, size_t why_size);

/* Run the server on the calling thread until it has closed. Returns the exit code. Once only. */
TINY_API int tiny_run(tiny *runtime);

/* Ask for a reload, or for a close after 'delay' seconds with exit code 'code'. Any thread,
 * from tiny_new() until tiny_free(); without effect once closed. */
TINY_API void tiny_reload(tiny *runtime);
TINY_API void tiny_close(tiny *runtime, double delay, int code);

/* Free what tiny_run() left. NULL is allowed. */
TINY_API void tiny_free(tiny *runtime);

/* Load conf and script in a throw-away generation. Returns 0, or -1 with the reason
 * (file and line where there is one) in 'why'. */
TINY_API int tiny_check(const tiny_options *options, char *why, size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
