/* SPDX-License-Identifier: MIT
 * talk.h -- a conversation with etcd: one request at a time, and the next one when the answer has come or
 * after a while. Part of its owner; all of it on the thread of the loop. */
#ifndef TINY_TALK_H
#define TINY_TALK_H

#include "etcd.h"

typedef struct tiny_talk tiny_talk;

/* What an owner is told at a request's end: etcd's code, and what it said. The answer is in the talk. */
typedef void (*tiny_talk_fn)(void *owner, int code, const char *message);

struct tiny_talk {
  uv_timer_t timer; /* when to go on */
  const tiny_etcd_plugin *plugin;
  tiny_etcd *const *etcd; /* the owner's: it may come to use another client */
  void *owner;
  void (*go_on)(void *owner);
  tiny_talk_fn then;
  void (*closed)(void *owner);
  tiny_etcd_call *call;           /* under way */
  json_t *answer;                 /* the last line of it; NULL: none came */
  uint64_t sent_ns;               /* CLOCK_BOOTTIME of the last request */
  uint64_t pause_ms;              /* the next tiny_talk_pause(); 0 after success */
  uint64_t settle_ms, longest_ms; /* of a watch */
};

/* CLOCK_BOOTTIME in ns: it goes on while the machine is suspended, as etcd does. Any thread. */
uint64_t tiny_talk_now(void);

/* 'go_on' is called when it is time to. */
void tiny_talk_open(tiny_talk *talk, uv_loop_t *loop, const tiny_etcd_plugin *plugin,
                    tiny_etcd *const *etcd, void *owner, void (*go_on)(void *owner));

/* Ask; 'body' is taken over. 'then' is called once, unless it is hushed before. Without memory it goes on
 * instead, a little later. */
void tiny_talk_ask(tiny_talk *talk, const char *path, json_t *body, uint64_t timeout_ms,
                   tiny_talk_fn then);

/* Watch what 'body' says, which is taken over: go on 'settle_ms' after something has happened to it, or after a pause
 * of up to 'longest_ms' when the watch has ended. */
void tiny_talk_watch(tiny_talk *talk, json_t *body, uint64_t timeout_ms, uint64_t settle_ms,
                     uint64_t longest_ms);

/* Forget what was asked, and going on. */
void tiny_talk_hush(tiny_talk *talk);

/* Go on in 'ms'. */
void tiny_talk_go_on(tiny_talk *talk, uint64_t ms);

/* Go on after a pause, twice as long each time up to 'longest_ms'. */
void tiny_talk_pause(tiny_talk *talk, uint64_t longest_ms);

/* 'closed' is called when the loop is done with it. */
void tiny_talk_close(tiny_talk *talk, void (*closed)(void *owner));

#endif
