/* SPDX-License-Identifier: MIT
 * interrupt.c -- stretches of Lua, and what the signal handler does to the one that runs.
 *
 * All that touches a VM happens on its own thread: in attend(), which is the signal
 * handler, in on_hook() and in on_profile(), both called by LuaJIT at a safe place.
 * Other threads set flags and send SIGPROF; while there is something to do the handler
 * comes back by a timer of the thread's own. */
#include "interrupt.h"
#include "apart.h"
#include "backtrace.h"
#include "clock.h"
#include "guard.h"
#include "question.h"
#include "sigprof.h"
#include "trace.h"

#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS       ((uint64_t)1000000)
#define AGAIN_NS (2 * MS) /* how soon the handler comes back while it waits for Lua */

enum {
  TEXT_SIZE = 8192,
  PATIENCE = 12, /* ticks without an answer from Lua: it must be in C */
  GUESS_MS = 500,
  HOOKS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT
};

enum { SPARED = TINY_STOPS }; /* in the place of a stop: none counts any more */

struct tiny_interrupt {
  tiny_what_fn what;
  pthread_t thread;
  timer_t timer;

  /* Of the loop thread and its signal handler. */
  tiny_stretch *_Atomic stretch; /* innermost, or NULL */
  _Atomic uint64_t tick_ns;      /* when the timer fires, or 0 */
  atomic_bool hit_idle;          /* a signal came while no Lua ran */
  lua_State *_Atomic armed;      /* whose hook is ours now, or NULL */
  lua_State *held;
  uint64_t slice_ns;
  bool raised;        /* since the outermost stretch began */
  lua_Hook user_hook; /* what the armed VM had */
  int user_mask, user_count;
  char trace[TEXT_SIZE];

  _Atomic int stop; /* tiny_stop, or SPARED */

  tiny_question question; /* what runs? */
  tiny_apart *apart;

  _Atomic uint64_t sample_ns;
  pthread_mutex_t sample_lock; /* guards the next two; held during calls of 'sample' */
  tiny_sample_fn sample;
  void *sample_data;
};

static const char interrupted; /* its address is the error */
static _Thread_local tiny_interrupt *here __attribute__((tls_model("initial-exec")));

const char *tiny_stop_text(tiny_stop stop) {
  static const char *const texts[] = {"not stopped", "stopped: hung", "stopped: closing",
                                      "stopped: ran longer than svr.watchdog.slice",
                                      "stopped: ran longer than its limit"};
  return texts[stop];
}

static uint64_t now_ns(void) { return tiny_clock_ns(CLOCK_MONOTONIC); }

static bool is_stopping(const tiny_interrupt *in) {
  int stop = atomic_load_explicit(&in->stop, memory_order_relaxed);
  return stop != TINY_STOP_NONE && stop != SPARED;
}

/* -- answering -- */

static void put_what(tiny_report *report, tiny_interrupt *in, bool safe) {
  tiny_stretch *stretch = in->stretch;
  if (stretch && stretch->what) in->what(report, stretch->what, safe ? stretch->L : NULL);
}

/* The stack of 'L', which runs, and of those that resumed it as far as they are known. */
static void put_stacks(tiny_report *report, tiny_interrupt *in, lua_State *L) {
  tiny_trace_put(report, L);
  for (tiny_stretch *s = in->stretch; s; s = s->outer) {
    if (s->running == L) continue;
    tiny_report_put(report, "  resumed by\n");
    tiny_trace_put(report, s->running);
  }
}

static void answer_from_lua(tiny_interrupt *in, lua_State *L) {
  tiny_report report = tiny_question_report(&in->question);
  put_what(&report, in, true);
  put_stacks(&report, in, L);
  tiny_question_answer(&in->question, TINY_DOING_LUA);
}

static void walk(tiny_report *report, const void *L) { tiny_trace_put(report, (lua_State *)L); }

static void put_guess(tiny_report *report, tiny_interrupt *in, lua_State *L) {
  const char *found = tiny_apart_tell(in->apart, walk, L, GUESS_MS);
  if (*found) tiny_report_put(report, "Lua stack, the first line is a guess:\n");
  tiny_report_put(report, found);
}

static void answer_from_c(tiny_interrupt *in, lua_State *L, const void *context) {
  tiny_report report = tiny_question_report(&in->question);
  put_what(&report, in, false);
  tiny_report_put(&report, "C stack:\n");
  tiny_report_put(&report, tiny_apart_tell(in->apart, tiny_backtrace_put, context, GUESS_MS));
  put_guess(&report, in, L);
  tiny_question_answer(&in->question, TINY_DOING_C);
}

static void answer_idle(tiny_interrupt *in) {
  tiny_question_report(&in->question);
  tiny_question_answer(&in->question, TINY_DOING_NOTHING);
}

/* -- in Lua's safe places -- */

static void disarm(tiny_interrupt *in) {
  lua_State *L = in->armed;
  in->armed = NULL;
  lua_sethook(L, in->user_hook, in->user_mask, in->user_count);
}

static void note_place(tiny_interrupt *in, lua_State *L) {
  if (in->raised) return;
  in->raised = true;
  tiny_report report = tiny_report_begin(in->trace, TEXT_SIZE);
  put_stacks(&report, in, L);
}

/* Message handlers in C, such as debug.traceback, are let through: an error in them would
 * replace the traceback. What else is in C returns to Lua, or is called from it. */
static bool is_c_call(lua_State *L, lua_Debug *event) {
  return event->event == LUA_HOOKCALL && lua_getinfo(L, "S", event) && *event->what == 'C';
}

static void on_hook(lua_State *L, lua_Debug *event) {
  tiny_interrupt *in = here;
  if (tiny_question_claim(&in->question)) answer_from_lua(in, L);
  if (!is_stopping(in)) {
    disarm(in);
  } else if (!is_c_call(L, event)) {
    note_place(in, L);
    lua_pushlightuserdata(L, (void *)&interrupted); /* takes no memory */
    tiny_guard_raise(L);
  }
}

static void on_profile(void *data, lua_State *L, int samples, int state) {
  tiny_interrupt *in = data;
  if (tiny_question_claim(&in->question)) answer_from_lua(in, L);
  if (in->sample_ns && pthread_mutex_trylock(&in->sample_lock) == 0) {
    if (in->sample) in->sample(in->sample_data, L, samples, state);
    pthread_mutex_unlock(&in->sample_lock);
  }
}

/* -- in the signal handler -- */

static void arm(tiny_interrupt *in, lua_State *L) {
  if (in->armed && in->armed != L) disarm(in);
  if (lua_gethook(L) != on_hook) {
    in->user_hook = lua_gethook(L);
    in->user_mask = lua_gethookmask(L);
    in->user_count = lua_gethookcount(L);
  }
  in->armed = L;
  lua_sethook(L, on_hook, HOOKS, 1);
}

static void check_limits(tiny_interrupt *in, uint64_t now) {
  for (tiny_stretch *s = in->stretch; s; s = s->outer) {
    int none = TINY_STOP_NONE;
    if (s->due_ns && now >= s->due_ns)
      atomic_compare_exchange_strong(&in->stop, &none, (int)s->due_stop);
  }
}

static void attend_stretch(tiny_interrupt *in, tiny_stretch *stretch, const void *context) {
  bool stop = is_stopping(in), asked = tiny_question_asked(&in->question);
  bool held = stretch->L == in->held;
  if (stop || (asked && !held)) arm(in, stretch->L);
  if (held && (stop || asked || in->sample_ns)) tiny_sigprof_trigger();
  if (asked && in->question.ticks++ >= PATIENCE && tiny_question_claim(&in->question))
    answer_from_c(in, stretch->running, context);
}

static uint64_t next_tick(tiny_interrupt *in, uint64_t now) {
  if (in->stretch && (is_stopping(in) || tiny_question_asked(&in->question))) return now + AGAIN_NS;
  uint64_t next = in->sample_ns ? now + in->sample_ns : 0;
  if (in->stop == SPARED) return next; /* limits have no effect */
  for (tiny_stretch *s = in->stretch; s; s = s->outer)
    if (s->due_ns && (!next || s->due_ns < next)) next = s->due_ns;
  return next;
}

static void set_tick(tiny_interrupt *in, uint64_t at_ns) {
  if (!at_ns && !in->tick_ns) return;
  struct itimerspec at = {.it_value = {(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)}};
  in->tick_ns = at_ns;
  timer_settime(in->timer, TIMER_ABSTIME, &at, NULL);
}

static void attend(void *data, const void *context) {
  tiny_interrupt *in = data;
  tiny_stretch *stretch = in->stretch;
  uint64_t now = now_ns();
  if (!stretch) {
    atomic_store_explicit(&in->hit_idle, true, memory_order_relaxed);
    if (tiny_question_claim(&in->question)) answer_idle(in);
  } else {
    check_limits(in, now);
    attend_stretch(in, stretch, context);
  }
  set_tick(in, next_tick(in, now));
}

/* -- stretches -- */

void tiny_interrupt_enter(tiny_interrupt *in, tiny_stretch *stretch, uint64_t limit_ns) {
  uint64_t limit = limit_ns ? limit_ns : in->slice_ns;
  stretch->due_ns = limit ? now_ns() + limit : 0;
  stretch->due_stop = limit_ns ? TINY_STOP_LIMIT : TINY_STOP_SLICE;
  stretch->outer = atomic_load_explicit(&in->stretch, memory_order_relaxed);
  atomic_store_explicit(&in->stretch, stretch, memory_order_release);

  /* The handler alone sets the timer, so let it. From here on it sees this stretch. */
  atomic_signal_fence(memory_order_seq_cst);
  uint64_t tick = atomic_load_explicit(&in->tick_ns, memory_order_relaxed);
  bool sooner = stretch->due_ns && (!tick || tick > stretch->due_ns);
  if (sooner || is_stopping(in)) pthread_kill(in->thread, SIGPROF);
}

/* The outermost stretch is over, and something happened in it. */
static tiny_stop settle(tiny_interrupt *in) {
  if (in->armed) disarm(in);
  int stop = in->stop;
  bool own = stop == TINY_STOP_SLICE || stop == TINY_STOP_LIMIT; /* of this stretch alone */
  if ((in->raised && stop != SPARED) || own)
    atomic_compare_exchange_strong(&in->stop, &stop, TINY_STOP_NONE);
  bool raised = in->raised;
  in->raised = false;
  return raised ? (tiny_stop)stop : TINY_STOP_NONE;
}

tiny_stop tiny_interrupt_leave(tiny_interrupt *in, tiny_stretch *stretch) {
  atomic_store_explicit(&in->stretch, stretch->outer, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst); /* the handler arms no more: now look */
  if (stretch->outer) return in->raised ? (tiny_stop)in->stop : TINY_STOP_NONE;
  if (!atomic_load_explicit(&in->armed, memory_order_relaxed) && !is_stopping(in))
    return TINY_STOP_NONE;
  return settle(in);
}

bool tiny_interrupt_hit_idle(tiny_interrupt *in) {
  if (!atomic_load_explicit(&in->hit_idle, memory_order_relaxed)) return false;
  atomic_store_explicit(&in->hit_idle, false, memory_order_relaxed);
  return true;
}

const char *tiny_interrupt_trace(const tiny_interrupt *in) { return in->trace; }

void tiny_interrupt_slice(tiny_interrupt *in, uint64_t slice_ns) { in->slice_ns = slice_ns; }

void tiny_interrupt_spare(tiny_interrupt *in) { in->stop = SPARED; }

bool tiny_interrupt_stopping(void) { return here && here->armed && is_stopping(here); }

void tiny_interrupt_guess(tiny_interrupt *in, tiny_report *report) {
  tiny_stretch *stretch = here == in ? in->stretch : NULL;
  if (!stretch) return;
  put_what(report, in, false);
  put_guess(report, in, stretch->running);
}

/* -- for other threads -- */

void tiny_interrupt_stop(tiny_interrupt *in, tiny_stop stop) {
  int old = in->stop;
  while (old != SPARED && !atomic_compare_exchange_weak(&in->stop, &old, (int)stop)) {}
  pthread_kill(in->thread, SIGPROF);
}

tiny_doing tiny_interrupt_look(tiny_interrupt *in, char *text, size_t size) {
  return tiny_question_ask(&in->question, in->thread, text, size);
}

void tiny_interrupt_sample(tiny_interrupt *in, tiny_sample_fn fn, void *data, uint64_t span_ns) {
  pthread_mutex_lock(&in->sample_lock);
  in->sample = fn;
  in->sample_data = data;
  in->sample_ns = fn ? span_ns : 0;
  pthread_mutex_unlock(&in->sample_lock);
  pthread_kill(in->thread, SIGPROF);
}

/* -- holding -- */

void tiny_interrupt_let_go(tiny_interrupt *in, lua_State *L) {
  if (!L || in->held != L) return;
  in->held = NULL;
  tiny_sigprof_stop(L);
  tiny_guard_jit(L, TINY_JIT_OFF);
}

bool tiny_interrupt_hold(tiny_interrupt *in, lua_State *L) {
  if (in->held == L) return true;
  if (in->held) tiny_interrupt_let_go(in, in->held);
  if (!tiny_sigprof_start(L, on_profile, in)) return false;
  in->held = L;
  tiny_guard_jit(L, TINY_JIT_ON);
  return true;
}

static int open_timer(tiny_interrupt *in) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
  event._sigev_un._tid = gettid();
  return timer_create(CLOCK_MONOTONIC, &event, &in->timer);
}

static int open_parts(tiny_interrupt *in) {
  in->apart = tiny_apart_open();
  if (!in->apart) return -1;
  if (open_timer(in) != 0) {
    tiny_apart_close(in->apart);
    return -1;
  }
  if (tiny_sigprof_open(attend, in) != 0) {
    timer_delete(in->timer);
    tiny_apart_close(in->apart);
    return -1;
  }
  return 0;
}

tiny_interrupt *tiny_interrupt_open(tiny_what_fn what) {
  tiny_interrupt *in = calloc(1, sizeof *in);
  if (!in) return NULL;
  in->what = what;
  in->thread = pthread_self();
  tiny_backtrace_prime();
  if (open_parts(in) != 0) {
    free(in);
    return NULL;
  }
  tiny_question_open(&in->question);
  pthread_mutex_init(&in->sample_lock, NULL);
  here = in;
  return in;
}

void tiny_interrupt_close(tiny_interrupt *in) {
  if (!in) return;
  here = NULL;
  timer_delete(in->timer);
  tiny_sigprof_close();
  tiny_apart_close(in->apart);
  tiny_question_close(&in->question);
  pthread_mutex_destroy(&in->sample_lock);
  free(in);
}
