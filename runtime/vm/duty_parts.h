/* SPDX-License-Identifier: MIT
 * duty_parts.h -- what duty.c, on the loop thread, and duty_link.c, between it and the control thread, share. */
#ifndef TINY_DUTY_PARTS_H
#define TINY_DUTY_PARTS_H

#include "control.h"
#include "duty.h"
#include "election.h"
#include "generation.h"
#include "rollout.h"
#include "shared_conf.h"
#include "store.h"
#include "talk.h"

typedef enum tiny_term {
  TINY_IDLE,    /* no generation is loaded */
  TINY_WAITING, /* one stands by */
  TINY_RISING,  /* elected; what was loaded begins */
  TINY_SERVING, /* the active */
  TINY_FALLING  /* no more; what ran ends */
} tiny_term;

struct tiny_duty {
  tiny *runtime;
  tiny_lead lead;
  const tiny_etcd_plugin *plugin;
  tiny_election *election;   /* the control thread's */
  tiny_store *store;         /* the control thread's */
  tiny_shared_conf *sharing; /* the control thread's; NULL without svr.cluster.conf_prefix, */
  tiny_rollout *rollout;     /* as is this */
  char *name;
  json_t *identity; /* the control thread's, once it has joined */

  /* The loop thread's. */
  tiny_term term;
  uint64_t token;
  bool elected;
  const char *deposed; /* why; NULL: not */
  bool resigned;
  json_t *shared; /* what of our conf.lua is in etcd; NULL while that is not known */

  /* From one to the other. */
  _Atomic uint64_t new_token;
  const char *_Atomic new_reason;
  _Atomic bool was_led;     /* by another, since we have come */
  _Atomic bool asked;       /* the loop thread has been asked for a sign of life */
  _Atomic uint64_t seen_ns; /* when it last gave one, by tiny_talk_now() */
};

/* Whether we act as the active does; the state shows it. */
void tiny_duty_acts(tiny_duty *duty, bool now);

/* No term is on. */
void tiny_duty_forget(tiny_duty *duty);

/* duty_fall.c: the term is over. And: its tasks get tiny.cancelled, whether they wait or were about to
 * go on. */
void tiny_duty_fall(tiny_duty *duty);
void tiny_duty_cut(tiny_generation *generation, bool steps_too);

/* Errands for the control thread, done in this order. */
void tiny_duty_send_settings(tiny_duty *duty, const tiny_conf *conf); /* the first one joins */
void tiny_duty_send_stand(tiny_duty *duty);
void tiny_duty_send_step_down(tiny_duty *duty);
void tiny_duty_send_resign(tiny_duty *duty); /* sets 'resigned' in the end */
void tiny_duty_send_close(tiny_duty *duty);
void tiny_duty_send_applied(tiny_duty *duty, const tiny_conf *conf); /* it is in force */

/* An errand that has been done: its duty; it is freed. Control thread. */
tiny_duty *tiny_duty_taken(tiny_errand *errand);

/* duty_conf.c: the shared configuration's part of these errands. Control thread. */
void tiny_duty_conf_settle(tiny_duty *duty, const tiny_conf *conf,
                           const tiny_etcd_settings *settings);
void tiny_duty_conf_applied(tiny_duty *duty, const tiny_conf *conf);
void tiny_duty_conf_members(tiny_duty *duty, const json_t *members);
void tiny_duty_conf_close(tiny_duty *duty);

#endif
