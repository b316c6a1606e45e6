/* SPDX-License-Identifier: MIT
 * job.c -- one thread a job: whoever blocks in it holds nobody else up. */
#include "runtime.h"

#include <pthread.h>

static void on_done(tiny_ask *ask) {
  tiny_job *job = ask->data;
  job->runtime->jobs--;
  job->done(job);
  tiny_ask_done(ask, true, NULL);
}

/* The ask was made before the thread, so that its end cannot fail to be told. */
static void *work(void *data) {
  tiny_ask *ask = data;
  tiny_job *job = ask->data;
  job->work(job);
  tiny_inbox_post(job->runtime->inbox, ask);
  return NULL;
}

static int spawn(tiny_ask *ask) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, ask) != 0) return -1;
  pthread_detach(thread);
  return 0;
}

int tiny_job_start(tiny *runtime, tiny_job *job) {
  tiny_ask *ask = tiny_ask_new(TINY_ASK_CALL);
  if (!ask) return -1;
  ask->call = on_done;
  ask->data = job;
  job->runtime = runtime;
  runtime->jobs++;
  if (spawn(ask) == 0) return 0;
  runtime->jobs--;
  tiny_ask_done(ask, false, NULL);
  return -1;
}
