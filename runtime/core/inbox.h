/* SPDX-License-Identifier: MIT
 * inbox.h -- what other threads ask of the loop thread. A signal, `tiny reload`
 * and self:reload() all become the same ask here. */
#ifndef TINY_INBOX_H
#define TINY_INBOX_H

#include <stdbool.h>
#include <uv.h>

typedef struct tiny_inbox tiny_inbox;

typedef enum tiny_ask_kind {
  TINY_ASK_RELOAD, /* build a new generation */
  TINY_ASK_CLOSE,  /* close after 'seconds' with exit code 'code' */
  TINY_ASK_EVAL,   /* run the Lua in 'text' for at most 'seconds' */
  TINY_ASK_STACK,  /* say what waits: nothing runs, or the loop would not come to it */
  TINY_ASK_CALL    /* call 'call' on the loop thread, between its turns */
} tiny_ask_kind;

typedef struct tiny_ask tiny_ask;
struct tiny_ask {
  tiny_ask_kind kind;
  char *text; /* owned by the ask, freed with it; NULL where not needed */
  double seconds;
  int code;
  void (*call)(tiny_ask *ask); /* for TINY_ASK_CALL */
  /* Told the outcome once, on the loop thread; 'text' lives during the call. NULL: nobody waits. */
  void (*answer)(tiny_ask *ask, bool ok, const char *text);
  void *data;     /* the asker's own */
  tiny_ask *next; /* the inbox's own */
};

/* Returns a zeroed ask of that kind, or NULL. tiny_ask_done() frees it. */
tiny_ask *tiny_ask_new(tiny_ask_kind kind);

/* Answer (when someone waits) and free. Loop thread, once for each ask. */
void tiny_ask_done(tiny_ask *ask, bool ok, const char *text);

/* 'take' is called on the loop thread for each ask, in order of posting, and owns it then.
 * Returns NULL when memory or the handle could not be had. */
tiny_inbox *tiny_inbox_open(uv_loop_t *loop, void (*take)(void *data, tiny_ask *ask), void *data);

/* Hand an ask over. Any thread, never waits. After tiny_inbox_close() it is
 * answered "closed" at once, on the calling thread. A reload that nobody waits for
 * is dropped while another such one is not yet taken: it would do the same. */
void tiny_inbox_post(tiny_inbox *inbox, tiny_ask *ask);

/* Have 'call' called on the loop thread, which ends the ask; its 'data' is this. Out of memory it is not.
 * Any thread. */
void tiny_inbox_call(tiny_inbox *inbox, void (*call)(tiny_ask *ask), void *data);

/* Free the ask whose 'data' this is, unanswered, if it has not been taken yet.
 * Returns whether. Any thread. */
bool tiny_inbox_withdraw(tiny_inbox *inbox, const void *data);

/* Answer what is left with "closed" and close the handle. Loop thread. The inbox
 * itself is freed by tiny_inbox_free(), when the loop has turned once more for the
 * handle and no thread can post any longer. */
void tiny_inbox_close(tiny_inbox *inbox);
void tiny_inbox_free(tiny_inbox *inbox);

#endif
