/* SPDX-License-Identifier: MIT
 * question.h -- what another thread asks of the loop thread, which answers in its signal handler
 * or at Lua's next safe place. */
#ifndef TINY_QUESTION_H
#define TINY_QUESTION_H

#include "interrupt.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

typedef struct tiny_question {
  pthread_mutex_t lock; /* one asker at a time */
  _Atomic int state;    /* private */
  _Atomic int ticks;    /* signals since it was asked; counted by who answers */
  sem_t answered;       /* private */
  tiny_doing doing;     /* the answer and its text; the loop thread's while it writes them */
  char text[8192];
} tiny_question;

void tiny_question_open(tiny_question *question);
void tiny_question_close(tiny_question *question);

/* Ask the thread 'of' by SIGPROF and wait for the answer, 200 ms at the longest. Any thread but
 * that one. */
tiny_doing tiny_question_ask(tiny_question *question, pthread_t of, char *text, size_t size);

/* For the loop thread and its signal handler. Who claims the question writes its report, and
 * answers it. */
bool tiny_question_asked(const tiny_question *question);
bool tiny_question_claim(tiny_question *question);
tiny_report tiny_question_report(tiny_question *question);
void tiny_question_answer(tiny_question *question, tiny_doing doing);

#endif
