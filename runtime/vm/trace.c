/* SPDX-License-Identifier: MIT
 * trace.c -- walking Lua stacks. */
#include "trace.h"

/* lua_getstack() walks from the top each time, so depth costs its square. */
enum { MAX_LEVELS = 30 };

static void put_frame(tiny_report *report, const lua_Debug *frame) {
  tiny_report_put(report, "  ");
  tiny_report_put(report, frame->short_src);
  if (frame->currentline > 0) {
    tiny_report_put(report, ":");
    tiny_report_number(report, frame->currentline);
  }
  if (*frame->what == 'm') {
    tiny_report_put(report, ": in main chunk\n");
  } else if (frame->name) {
    tiny_report_put(report, ": in function '");
    tiny_report_put(report, frame->name);
    tiny_report_put(report, "'\n");
  } else {
    tiny_report_put(report, ": in function <");
    tiny_report_put(report, frame->short_src);
    tiny_report_put(report, ":");
    tiny_report_number(report, frame->linedefined);
    tiny_report_put(report, ">\n");
  }
}

void tiny_trace_put(tiny_report *report, lua_State *L) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    if (level == MAX_LEVELS) {
      tiny_report_put(report, "  ...\n");
      return;
    }
    lua_getinfo(L, "nSl", &frame);
    put_frame(report, &frame);
  }
}
