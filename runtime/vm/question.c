/* SPDX-License-Identifier: MIT
 * question.c -- one question at a time, and its answer. */
#include "question.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { LOOK_MS = 200 }; /* the longest wait for an answer */

/* It travels NONE -> ASKED (asker) -> WRITING -> ANSWERED (loop thread) -> NONE (asker). */
enum { NONE, ASKED, WRITING, ANSWERED };

void tiny_question_open(tiny_question *q) {
  sem_init(&q->answered, 0, 0);
  pthread_mutex_init(&q->lock, NULL);
}

void tiny_question_close(tiny_question *q) {
  sem_destroy(&q->answered);
  pthread_mutex_destroy(&q->lock);
}

bool tiny_question_asked(const tiny_question *q) { return q->state == ASKED; }

bool tiny_question_claim(tiny_question *q) {
  int asked = ASKED;
  return atomic_compare_exchange_strong(&q->state, &asked, WRITING);
}

tiny_report tiny_question_report(tiny_question *q) {
  return tiny_report_begin(q->text, sizeof q->text);
}

void tiny_question_answer(tiny_question *q, tiny_doing doing) {
  q->doing = doing;
  atomic_store(&q->state, ANSWERED);
  sem_post(&q->answered);
}

static bool wait_for_answer(tiny_question *q) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += LOOK_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  int asked = ASKED, rc;
  do rc = sem_clockwait(&q->answered, CLOCK_MONOTONIC, &until);
  while (rc != 0 && errno == EINTR); /* a signal of the process may come to whatever thread */
  if (rc == 0) return true;
  if (atomic_compare_exchange_strong(&q->state, &asked, NONE)) return false;
  while (sem_wait(&q->answered) != 0) {} /* it is being written */
  return true;
}

tiny_doing tiny_question_ask(tiny_question *q, pthread_t of, char *text, size_t size) {
  tiny_doing doing = TINY_DOING_UNKNOWN;
  tiny_report report = tiny_report_begin(text, size);
  pthread_mutex_lock(&q->lock);
  q->ticks = 0;
  q->state = ASKED;
  pthread_kill(of, SIGPROF);
  if (wait_for_answer(q) && q->state == ANSWERED) {
    doing = q->doing;
    tiny_report_put(&report, q->text);
    q->state = NONE;
  }
  pthread_mutex_unlock(&q->lock);
  return doing;
}
