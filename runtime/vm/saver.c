/* SPDX-License-Identifier: MIT
 * saver.c -- when a context is saved, and who is told. */
#include "saver.h"
#include "context.h"

#include "carry.h"
#include "checkpoint.h"
#include "runtime.h"
#include "store.h"
#include "waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One checkpoint on its way to disk. */
typedef struct saving {
  tiny_job job;
  const tiny_generation *generation; /* whose context it is; only compared */
  tiny_parcel parcel;
  tiny_checkpoint checkpoint;
  char *path;
  bool alone;
  bool shared; /* goes to etcd too */
  char *text;  /* for that */
  uint64_t begun_ns, packed_ns;
  int rc; /* negative errno */
  char why[512];
} saving;

struct tiny_saver {
  tiny *runtime;
  uv_timer_t due;
  uint64_t sequence;    /* of the last one begun */
  bool alone;           /* the next one keeps nothing of before */
  bool wanted;          /* one more of the generation in force */
  bool hurried;         /* the timer was set for those who wait, not for the span */
  uint64_t share_ns;    /* not before then to etcd again, by tiny_timers_now() */
  tiny_waiters waiting; /* who asked for one; task->source is its sequence at least */
  saving *under_way;
  bool failing; /* and that was told */
  int rc;       /* why the last one failed */
  char why[512];
};

bool tiny_saver_wanted(const tiny_conf *conf) {
  return tiny_conf_number(conf, "svr.checkpoint.span") > 0;
}

/* A folder that is not there should not show only when it is needed. */
int tiny_saver_check(const tiny_conf *conf, char *why, size_t why_size) {
  if (!tiny_saver_wanted(conf)) return 0;
  char *path = tiny_conf_path(conf, "svr.checkpoint.path");
  char *folder = path ? strndup(path, (size_t)(strrchr(path, '/') - path) + 1) : NULL;
  int rc = folder ? access(folder, W_OK | X_OK) : -1;
  if (rc != 0)
    snprintf(why, why_size, "%s: svr.checkpoint.path: %s: %s", tiny_conf_file(conf),
             folder ? folder : "", strerror(errno));
  free(folder);
  free(path);
  return rc;
}

/* -- telling --------------------------------------------------------------- */

void tiny_saver_failed(tiny_saver *s, int rc, const char *why) {
  s->rc = rc;
  snprintf(s->why, sizeof s->why, "%s", why);
}

/* A trouble that lasts is told once. */
static void note_failure(tiny_saver *s, int rc, const char *why) {
  if (!s->failing || strcmp(s->why, why) != 0)
    tiny_warn(s->runtime->log, "no checkpoint was made: %s", why);
  s->failing = true;
  tiny_saver_failed(s, rc, why);
}

static void note_success(tiny_saver *s, const saving *w) {
  double packing_ms = (double)(w->packed_ns - w->begun_ns) / 1e6;
  double writing_ms = (double)(tiny_timers_now() - w->packed_ns) / 1e6;
  if (s->failing) tiny_info(s->runtime->log, "checkpoints are made again");
  s->failing = false;
  s->alone = false;
  tiny_debug(s->runtime->log, "checkpoint %llu: %zu bytes, packed in %.2f ms, written in %.2f ms",
             (unsigned long long)w->checkpoint.sequence, w->checkpoint.size, packing_ms,
             writing_ms);
}

const char *tiny_saver_why(const tiny_saver *s, int *rc) {
  *rc = s->rc;
  return s->why;
}

/* -- those who wait -------------------------------------------------------- */

static void leave(tiny_task *task) {
  tiny_waiters_remove(&task->generation->runtime->saver->waiting, task);
}

/* It gets nil, ok. */
static void answer(tiny_saver *s, tiny_task *task, bool ok) {
  tiny_waiters_remove(&s->waiting, task);
  task->leave = NULL;
  lua_pushnil(task->co);
  lua_pushboolean(task->co, ok);
  tiny_task_ready(task, 2);
}

/* Those that waited for this one or an earlier one. */
static void wake(tiny_saver *s, const saving *w) {
  for (tiny_task *task = s->waiting.first, *next; task; task = next) {
    next = task->later;
    if (task->generation == w->generation && (uintptr_t)task->source <= w->checkpoint.sequence)
      answer(s, task, w->rc == 0);
  }
}

/* Those whose generation is on its way out since: its context is another's. */
static void refuse_superseded(tiny_saver *s) {
  for (tiny_task *task = s->waiting.first, *next; task; task = next) {
    next = task->later;
    if (task->generation->life != TINY_DRAINING) continue;
    tiny_saver_failed(s, UV_ECANCELED, TINY_SAVER_SUPERSEDED);
    answer(s, task, false);
  }
}

/* -- one checkpoint -------------------------------------------------------- */

static void end(tiny_saver *s, saving *w) {
  if (w->rc == 0)
    note_success(s, w);
  else
    note_failure(s, w->rc, w->why);
  if (w->shared || !tiny_duty_serves(s->runtime->duty)) wake(s, w);
  free(w->parcel.bytes);
  free(w->path);
  free(w->text);
  free(w);
}

static void go_on(tiny_saver *s);
static void on_due(uv_timer_t *timer);

/* After that it is due again every span. */
static void arm(tiny_saver *s, const tiny_conf *conf, uint64_t first_ms, bool hurried) {
  s->hurried = hurried;
  uv_update_time(&s->runtime->loop);
  uv_timer_start(&s->due, on_due, first_ms, tiny_conf_ms(conf, "svr.checkpoint.span"));
}

static void write_it(tiny_job *job) {
  saving *w = (saving *)job;
  w->rc = tiny_checkpoint_write(w->path, &w->checkpoint, w->alone, w->why, sizeof w->why);
  if (w->shared) w->text = tiny_checkpoint_text(&w->checkpoint);
}

static void done(saving *w) {
  tiny_saver *s = w->job.runtime->saver;
  s->under_way = NULL;
  end(s, w);
  go_on(s);
}

/* At most one a second, and 200 kB a second. */
static uint64_t rest_ns(const saving *w) {
  uint64_t ns = w->checkpoint.size * 5000;
  return ns > 1000000000 ? ns : 1000000000;
}

/* What went wrong on the own disk is told first. */
static void note_share(saving *w, int rc, const char *why) {
  if (rc == 0 || w->rc != 0) return;
  w->rc = rc;
  snprintf(w->why, sizeof w->why, "etcd: %s", why);
}

/* One that failed counts as well: it may have been kept all the same. */
static void on_kept(void *data, int rc, const char *why) {
  saving *w = data;
  w->job.runtime->saver->share_ns = tiny_timers_now() + rest_ns(w);
  note_share(w, rc, why);
  done(w);
}

static void share(saving *w) {
  tiny *rt = w->job.runtime;
  char *text = w->text;
  w->text = NULL;
  if (text)
    tiny_duty_keep(rt->duty, text, on_kept, w);
  else
    on_kept(w, UV_ENOMEM, "not enough memory");
}

/* An error at once: whoever took over would do without what it has now. */
static void refuse_size(saving *w, size_t size) {
  char why[128];
  snprintf(why, sizeof why, "the context takes %zu bytes, and at most %d are kept there", size,
           TINY_STORE_MOST);
  note_share(w, UV_E2BIG, why);
  done(w);
}

static void on_written(tiny_job *job) {
  saving *w = (saving *)job;
  size_t size = w->checkpoint.size + TINY_CHECKPOINT_HEAD;
  bool serves = tiny_duty_serves(job->runtime->duty);
  if (serves && size > TINY_STORE_MOST)
    refuse_size(w, size);
  else if (serves && w->shared)
    share(w);
  else
    done(w);
}

/* Returns 0, and 'w' is the helper thread's; or -1 with the reason in it. */
static int start(tiny_saver *s, tiny_generation *g, saving *w) {
  w->rc = UV_EINVAL;
  if (tiny_generation_save(g, &w->parcel, w->why, sizeof w->why) != 0) return -1;
  w->packed_ns = tiny_timers_now();
  w->checkpoint.bytes = w->parcel.bytes;
  w->checkpoint.size = w->parcel.size;
  w->path = tiny_conf_path(g->conf, "svr.checkpoint.path");
  if (w->path && tiny_job_start(s->runtime, &w->job) == 0) return 0;
  snprintf(w->why, sizeof w->why, "no memory or thread for it");
  w->rc = UV_ENOMEM;
  return -1;
}

static bool may_share(const tiny_saver *s) { return tiny_timers_now() >= s->share_ns; }

static bool is_closing(const tiny_saver *s) {
  return atomic_load(&s->runtime->state.phase) == TINY_CLOSING;
}

static void begin(tiny_saver *s, tiny_generation *g, bool asked) {
  saving *w = calloc(1, sizeof *w);
  if (!w) return; /* the next one may do better */
  if (g == s->runtime->current) s->wanted = false;
  w->job = (tiny_job){.work = write_it, .done = on_written};
  w->generation = g;
  w->checkpoint.sequence = ++s->sequence;
  w->checkpoint.saved_at = time(NULL);
  w->checkpoint.token = tiny_duty_token(s->runtime->duty);
  w->shared = tiny_duty_serves(s->runtime->duty) && (asked || is_closing(s) || may_share(s));
  w->alone = s->alone;
  w->begun_ns = tiny_timers_now();
  if (start(s, g, w) == 0)
    s->under_way = w;
  else
    end(s, w);
}

/* Who asks waits until etcd may have it. */
static bool must_wait(tiny_saver *s) {
  uint64_t now = tiny_timers_now();
  if (!tiny_duty_serves(s->runtime->duty) || may_share(s) || is_closing(s)) return false;
  arm(s, s->waiting.first->generation->conf, (s->share_ns - now) / 1000000 + 1, true);
  return true;
}

static void go_on(tiny_saver *s) {
  if (s->under_way) return;
  refuse_superseded(s);
  if (s->waiting.first && !must_wait(s)) begin(s, s->waiting.first->generation, true);
  if (s->wanted && !s->under_way) begin(s, s->runtime->current, false);
}

/* -- when ------------------------------------------------------------------ */

/* While generations change or the server closes, only what is asked for expressly is done. */
static void on_due(uv_timer_t *timer) {
  tiny_saver *s = timer->data;
  if (!s->hurried && atomic_load(&s->runtime->state.phase) == TINY_RUNNING) s->wanted = true;
  s->hurried = false;
  go_on(s);
}

/* Reloads in quick succession do not put it off. */
void tiny_saver_follow(tiny_saver *s, const tiny_conf *conf) {
  uint64_t span_ms = tiny_conf_ms(conf, "svr.checkpoint.span");
  if (!tiny_saver_wanted(conf))
    uv_timer_stop(&s->due);
  else if (!uv_is_active((uv_handle_t *)&s->due) || uv_timer_get_repeat(&s->due) != span_ms)
    arm(s, conf, span_ms, false);
}

void tiny_saver_continue(tiny_saver *s, uint64_t sequence, bool alone) {
  s->sequence = sequence;
  s->alone = alone;
}

int tiny_saver_park(tiny_saver *s, tiny_task *task) {
  tiny_waiters_add(&s->waiting, task);
  arm(s, task->generation->conf, 0, true);
  return tiny_task_park(task, leave, (void *)(uintptr_t)(s->sequence + 1));
}

void tiny_saver_save(tiny_saver *s) {
  if (!tiny_saver_wanted(s->runtime->current->conf)) return;
  s->wanted = true;
  go_on(s);
}

bool tiny_saver_busy(const tiny_saver *s) { return s->under_way != NULL; }

tiny_saver *tiny_saver_open(tiny *rt) {
  tiny_saver *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->runtime = rt;
  uv_timer_init(&rt->loop, &s->due);
  s->due.data = s;
  return s;
}

static void on_close(uv_handle_t *handle) { free(handle->data); }

void tiny_saver_close(tiny_saver *s) { uv_close((uv_handle_t *)&s->due, on_close); }
