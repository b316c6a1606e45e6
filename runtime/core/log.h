/* SPDX-License-Identifier: MIT
 * log.h -- the log of one runtime: a bounded ring that any thread writes into
 * without waiting, and one thread that formats its lines and feeds the sinks. */
#ifndef TINY_LOG_H
#define TINY_LOG_H

#include "conf.h"
#include "tiny.h"
#include <stddef.h>
#include <stdint.h>

typedef struct tiny_log tiny_log;

enum { TINY_LEVELS = TINY_ERROR + 1 };

/* Where a line was written. Strings need only live during the call. */
typedef struct tiny_where {
  const char *file; /* as Lua's short_src or __FILE__; only its last part is shown */
  const char *func; /* NULL where unknown */
  int line;         /* 0 where unknown */
} tiny_where;

typedef struct tiny_log_counts {
  uint64_t lines;   /* read out of the ring, shortly after they were put */
  uint64_t dropped; /* found the ring full, all levels */
} tiny_log_counts;

/* Open a log and start its thread. Until tiny_log_configure() is called lines
 * wait in the ring; a ring is 4 MB until told otherwise. Returns NULL, with
 * nothing left behind, when memory or the thread could not be had. */
tiny_log *tiny_log_open(void);

/* Hand each line of 'level' and above to 'take' as well, on the log's thread; NULL: to nobody. Before
 * the first tiny_log_configure(). */
void tiny_log_attach(tiny_log *log, void (*take)(void *data, const tiny_logged *line), void *data,
                     tiny_level level);

/* Nothing to stdout and stderr, whatever the conf says. Before the first tiny_log_configure(). */
void tiny_log_mute(tiny_log *log);

/* Put the log.* keys and svr.name of 'conf' in force; lines put before are
 * formatted by the settings before. The file system is not looked at (tiny_log_check()
 * does): what a sink then cannot do is told in the log. Returns 0, or -1 with the reason in
 * 'why', and then nothing has changed: a bad format, no memory. Loop thread. */
int tiny_log_configure(tiny_log *log, tiny_conf *conf, char *why, size_t why_size);

/* Check the log.* keys of 'conf', also against the file system: a folder that is not
 * there, say. Changes nothing; may block on a disk. Returns 0, or -1 with the reason. Any thread. */
int tiny_log_check(const tiny_conf *conf, char *why, size_t why_size);

/* Put one line. Never waits, never fails visibly: what does not fit is counted.
 * 'text' may hold any bytes. 'fields' is JSON text of an object or NULL: extra
 * fields for the "json" format. Any thread. Not for signal handlers. */
void tiny_log_put(tiny_log *log, tiny_level level, const tiny_where *where, const char *text,
                  size_t size, const char *fields);

/* The same for the runtime's own lines, printf-style. */
void tiny_log_printf(tiny_log *log, tiny_level level, const tiny_where *where, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
#define TINY_HERE            (&(tiny_where){__FILE__, __func__, __LINE__})
#define tiny_debug(log, ...) tiny_log_printf(log, TINY_DEBUG, TINY_HERE, __VA_ARGS__)
#define tiny_info(log, ...)  tiny_log_printf(log, TINY_INFO, TINY_HERE, __VA_ARGS__)
#define tiny_warn(log, ...)  tiny_log_printf(log, TINY_WARN, TINY_HERE, __VA_ARGS__)
#define tiny_err(log, ...)   tiny_log_printf(log, TINY_ERROR, TINY_HERE, __VA_ARGS__)

/* The lowest level that some sink wants: a line below it need not be made. Any thread. */
tiny_level tiny_log_threshold(const tiny_log *log);

/* Whether some sink shows file and line, so that finding them is worth it. Any thread. */
bool tiny_log_wants_where(const tiny_log *log);
bool tiny_log_wants_func(const tiny_log *log); /* and the function's name, which costs more */

/* Called on the log thread whenever the threshold may have changed. */
void tiny_log_on_threshold(tiny_log *log, void (*changed)(void *data), void *data);

/* Set a sink's level until the next configure; 'sink' is "console", "syslog",
 * "file_log", "email" or NULL for all that are on. Returns 0, or -1 with the reason in 'why' for one that is
 * unknown or off. Any thread. */
int tiny_log_set_level(tiny_log *log, const char *sink, tiny_level level, char *why,
                       size_t why_size);

/* Parse DEBUG, INFO, WARN, WARNING, ERR, ERROR or CRITICAL, any case.
 * Returns 0, or -1 for another word. */
int tiny_level_parse(const char *name, tiny_level *level);
const char *tiny_level_name(tiny_level level);

/* Open the log files again (SIGUSR2). Any thread. */
void tiny_log_reopen(tiny_log *log);

/* Wait until all lines put before have been handed to the sinks, 'ms' at the
 * longest. Returns 0, or -1 when the time ran out. A log that has not been configured yet
 * takes the default settings. Any thread but the log's. */
int tiny_log_flush(tiny_log *log, unsigned ms);

/* The process is about to end without tiny_log_close(): as flush, and sinks in trouble and
 * the mail get the rest of the time. Lines put later are still taken. */
int tiny_log_finish(tiny_log *log, unsigned ms);

/* Write what the ring holds to console, file and syslog with async-signal-safe
 * calls only, each with a bounded wait. For crash handlers; the log is not
 * usable afterwards. */
void tiny_log_crash(tiny_log *log, const char *text, size_t size);

tiny_log_counts tiny_log_count(const tiny_log *log); /* any thread */

/* Finish (bounded by 'ms'), stop the thread, close the sinks, free. No line may be put any
 * more. A log that was never configured writes its lines to stderr: why a start failed must
 * be seen. */
void tiny_log_close(tiny_log *log, unsigned ms);

#endif
