/* SPDX-License-Identifier: MIT
 * mailer.c -- at most one mail in a span, with all that came in between. */
#include "mailer.h"
#include "clock.h"
#include "mail.h"
#include "mail_batch.h"
#include "mail_text.h"
#include "plugin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND      1000000000ull
#define ATTEMPT_MS  60000u
#define PAUSE_FIRST (2 * SECOND)
#define PAUSE_MOST  (300 * SECOND)

struct tiny_mailer {
  void (*wake)(void *data);
  void *data;
  _Atomic bool stop; /* ends an attempt, and the thread */

  pthread_mutex_t lock; /* guards what is below */
  pthread_cond_t change;
  pthread_t thread;
  bool started, sending, hurry;
  uint64_t hurry_by_ns;
  tiny_conf *conf;
  tiny_mail_batch waiting;
  uint64_t next_ns, pause_ns; /* not before; and after a failure */
  uint64_t trouble_ns, lost;  /* since when (0: none), and lines since then */
  bool tell;
  tiny_level level;
  char told[400];
};

static uint64_t now_ns(void) { return tiny_clock_ns(CLOCK_MONOTONIC); }

/* ---- one mail ---- */

static const char *text_at(const json_t *config, const char *list, size_t i) {
  return json_string_value(json_array_get(json_object_get(config, list), i));
}

/* Ends with NULL; the texts are the configuration's. */
static const char **list_targets(const json_t *config) {
  const json_t *list = json_object_get(config, "target");
  size_t count = json_array_size(list);
  const char **targets = calloc(count + 1, sizeof *targets);
  for (size_t i = 0; targets && i < count; i++) targets[i] = text_at(config, "target", i);
  return targets;
}

static char *compose(const tiny_conf *conf, const tiny_mail_batch *b, const char *const *targets,
                     size_t *size) {
  char subject[TINY_MAIL_SUBJECT + 400], host[256] = "localhost", *text = NULL;
  const json_t *config = tiny_conf_json(conf, "log.email.config");
  size_t body_size;
  char *body = tiny_mail_batch_body(b, &body_size);
  gethostname(host, sizeof host - 1);
  snprintf(subject, sizeof subject, "[%s] %s: %s", host, tiny_conf_string(conf, "svr.name"),
           b->subject);
  if (body)
    text = tiny_mail_text(text_at(config, "from", 0), targets, subject, body, body_size, size);
  free(body);
  return text;
}

static tiny_mail_result hand_over(const tiny_conf *conf, tiny_mail *mail, char *why, size_t size) {
  const json_t *config = tiny_conf_json(conf, "log.email.config");
  const tiny_mail_plugin *plugin = tiny_plugin_table("mail", "tiny_mail_plugin_table", why, size);
  if (!plugin) return TINY_MAIL_LATER;
  mail->host = text_at(config, "host", 0);
  mail->port = (int)json_number_value(json_array_get(json_object_get(config, "host"), 1));
  mail->tls = json_string_value(json_object_get(config, "tls"));
  mail->from = text_at(config, "from", 0);
  mail->password = text_at(config, "from", 1);
  return plugin->send(mail, why, size);
}

static tiny_mail_result deliver(tiny_mailer *m, const tiny_conf *conf, const tiny_mail_batch *b,
                                unsigned timeout_ms, char *why, size_t why_size) {
  tiny_mail mail = {.timeout_ms = timeout_ms, .stop = &m->stop};
  const char **targets = list_targets(tiny_conf_json(conf, "log.email.config"));
  char *text = targets ? compose(conf, b, targets, &mail.size) : NULL;
  tiny_mail_result result = TINY_MAIL_LATER;
  snprintf(why, why_size, "out of memory");
  if (text) {
    mail.targets = targets;
    mail.text = text;
    result = hand_over(conf, &mail, why, why_size);
  }
  free(text);
  free(targets);
  return result;
}

/* ---- the thread; under the lock but while it sends ---- */

static void tell(tiny_mailer *m, tiny_level level, const char *text) {
  m->tell = true;
  m->level = level;
  snprintf(m->told, sizeof m->told, "log.email %.380s", text);
}

static void tell_trouble(tiny_mailer *m, const char *why, bool refused) {
  char text[360];
  if (m->trouble_ns) return;
  m->trouble_ns = now_ns();
  snprintf(text, sizeof text, "does not work: %.300s%s", why,
           refused ? "; the mail is dropped" : "; trying again");
  tell(m, TINY_ERROR, text);
}

static void tell_well(tiny_mailer *m) {
  char text[120];
  if (!m->trouble_ns) return;
  snprintf(text, sizeof text, "works again after %.1f s, %llu lines were lost",
           (double)(now_ns() - m->trouble_ns) / 1e9, (unsigned long long)m->lost);
  m->trouble_ns = m->lost = 0;
  tell(m, TINY_WARN, text);
}

static void come_back_later(tiny_mailer *m) {
  m->next_ns = now_ns() + m->pause_ns;
  m->pause_ns = m->pause_ns * 2 < PAUSE_MOST ? m->pause_ns * 2 : PAUSE_MOST;
}

static void done(tiny_mailer *m) {
  m->next_ns = now_ns() + tiny_conf_ns(m->conf, "log.email.span");
  m->pause_ns = PAUSE_FIRST;
}

static void finish(tiny_mailer *m, tiny_mail_batch *b, tiny_mail_result result, const char *why) {
  if (result == TINY_MAIL_SENT)
    tell_well(m);
  else
    tell_trouble(m, why, result == TINY_MAIL_REFUSED);
  if (result == TINY_MAIL_LATER) {
    tiny_mail_batch_join(b, &m->waiting);
    come_back_later(m);
    return;
  }
  if (result == TINY_MAIL_REFUSED) m->lost += b->lines + b->more;
  free(b->text);
  done(m);
}

/* That was the last attempt. */
static void tell_end(tiny_mailer *m, tiny_mail_result result, const char *why) {
  char text[400];
  m->hurry = false;
  if (result == TINY_MAIL_SENT) return;
  snprintf(text, sizeof text, "did not take the last lines: %.300s", why);
  tell(m, TINY_ERROR, text);
}

static unsigned time_for_it(const tiny_mailer *m) {
  uint64_t now = now_ns();
  if (!m->hurry) return ATTEMPT_MS;
  uint64_t ms = m->hurry_by_ns > now ? (m->hurry_by_ns - now) / 1000000 : 0;
  return ms == 0 ? 1 : ms < ATTEMPT_MS ? (unsigned)ms : ATTEMPT_MS;
}

static void send_waiting(tiny_mailer *m) {
  char why[320] = "";
  tiny_mail_batch b = m->waiting;
  tiny_conf *conf = tiny_conf_hold(m->conf);
  unsigned timeout_ms = time_for_it(m);
  bool hurried = m->hurry;
  m->waiting = (tiny_mail_batch){0};
  m->sending = true;
  pthread_mutex_unlock(&m->lock);
  tiny_mail_result result = deliver(m, conf, &b, timeout_ms, why, sizeof why);
  pthread_mutex_lock(&m->lock);
  finish(m, &b, result, why);
  tiny_conf_drop(conf);
  m->sending = false;
  if (hurried) tell_end(m, result, why);
  m->wake(m->data);
}

static void wait_until(tiny_mailer *m, uint64_t ns) {
  struct timespec t = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
  if (ns == UINT64_MAX)
    pthread_cond_wait(&m->change, &m->lock);
  else
    pthread_cond_timedwait(&m->change, &m->lock, &t);
}

static void *run(void *data) {
  tiny_mailer *m = data;
  prctl(PR_SET_NAME, "mail");
  pthread_mutex_lock(&m->lock);
  while (!atomic_load(&m->stop)) {
    bool any = m->waiting.lines || m->waiting.more;
    if (!any) m->hurry = false;
    uint64_t due = !any ? UINT64_MAX : m->hurry ? 0 : m->next_ns;
    if (now_ns() < due)
      wait_until(m, due);
    else
      send_waiting(m);
  }
  pthread_mutex_unlock(&m->lock);
  return NULL;
}

/* ---- the log thread's side ---- */

tiny_mailer *tiny_mailer_new(void (*wake)(void *data), void *data) {
  pthread_condattr_t monotonic;
  tiny_mailer *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->wake = wake;
  m->data = data;
  m->pause_ns = PAUSE_FIRST;
  pthread_mutex_init(&m->lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&m->change, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return m;
}

void tiny_mailer_configure(tiny_mailer *m, tiny_conf *conf) {
  pthread_mutex_lock(&m->lock);
  tiny_conf *before = m->conf;
  m->conf = tiny_conf_hold(conf);
  if (m->trouble_ns) m->next_ns = 0; /* the settings may have been the trouble */
  pthread_cond_signal(&m->change);
  pthread_mutex_unlock(&m->lock);
  tiny_conf_drop(before);
}

void tiny_mailer_add(tiny_mailer *m, const char *subject, size_t subject_size, const char *line,
                     size_t size) {
  pthread_mutex_lock(&m->lock);
  if (!m->waiting.lines) tiny_mail_batch_name(&m->waiting, subject, subject_size);
  tiny_mail_batch_add(&m->waiting, line, size);
  if (!m->started) m->started = pthread_create(&m->thread, NULL, run, m) == 0;
  pthread_cond_signal(&m->change);
  pthread_mutex_unlock(&m->lock);
}

bool tiny_mailer_tell(tiny_mailer *m, tiny_level *level, char *text, size_t size) {
  pthread_mutex_lock(&m->lock);
  bool any = m->tell;
  if (any) snprintf(text, size, "%s", m->told);
  *level = m->level;
  m->tell = false;
  pthread_mutex_unlock(&m->lock);
  return any;
}

void tiny_mailer_hurry(tiny_mailer *m, uint64_t by_ns) {
  pthread_mutex_lock(&m->lock);
  m->hurry = m->started;
  m->hurry_by_ns = by_ns;
  pthread_cond_signal(&m->change);
  pthread_mutex_unlock(&m->lock);
}

bool tiny_mailer_busy(tiny_mailer *m) {
  pthread_mutex_lock(&m->lock);
  bool is_busy = m->hurry || m->sending;
  pthread_mutex_unlock(&m->lock);
  return is_busy;
}

void tiny_mailer_free(tiny_mailer *m) {
  if (!m) return;
  pthread_mutex_lock(&m->lock);
  atomic_store(&m->stop, true);
  pthread_cond_signal(&m->change);
  pthread_mutex_unlock(&m->lock);
  if (m->started) pthread_join(m->thread, NULL);
  pthread_mutex_destroy(&m->lock);
  pthread_cond_destroy(&m->change);
  tiny_conf_drop(m->conf);
  free(m->waiting.text);
  free(m);
}
