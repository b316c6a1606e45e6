/* SPDX-License-Identifier: MIT
 * crashed.c -- what a runtime has to say when its process crashes. */
#include "runtime.h"

#include <time.h>

/* In a signal handler, on whatever thread: only what can be read as it stands. */
static void describe(void *data, tiny_report *report) {
  tiny *rt = data;
  time_t reloaded = rt->state.last_reload_time, now = time(NULL);
  tiny_report_put(report, "server of ");
  tiny_report_put(report, rt->conf_path);
  tiny_report_put(report, ", generation ");
  tiny_report_number(report, (int64_t)atomic_load(&rt->state.generation));
  if (reloaded) {
    tiny_report_put(report, ", reloaded ");
    tiny_report_number(report, (int64_t)(now - reloaded));
    tiny_report_put(report, " s ago");
  }
  tiny_report_put(report, "\n");
  if (rt->interrupt) tiny_interrupt_guess(rt->interrupt, report);
}

static void write_out(void *data, const char *text, size_t size) {
  tiny *rt = data;
  tiny_log_crash(rt->log, text, size);
}

void tiny_crashed_open(tiny *rt) {
  tiny_crash_parts parts = {describe, write_out, rt};
  rt->crash = tiny_crash_open(&parts);
}
