/* SPDX-License-Identifier: MIT
 * election_keys.c -- the keys of a cluster: who is the active, who is there. */
#include "election_parts.h"

#include <string.h>

/* Looked at again, so that the watch begins behind our own change: one that has to catch up is late. */
static void on_joined(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  if (code == TINY_ETCD_NOT_FOUND)
    tiny_election_lose(e, "lease", true);
  else if (code != TINY_ETCD_OK)
    tiny_election_failed(e, &e->watching, message);
  else
    e->introduced = true, tiny_talk_go_on(&e->watching, 0);
}

/* A campaign whose answer was lost may have been won. */
static void judge(tiny_election *e, const tiny_election_view *view) {
  bool ours = strcmp(view->active, e->lease) == 0;
  if (e->active && (!ours || view->token != e->token))
    tiny_election_lose(e, "deposed", false);
  else if (!e->active && ours && e->candidate)
    tiny_election_win(e, view->token);
}

static void take(tiny_election *e, tiny_election_view *view) {
  e->revision = view->revision;
  e->parts.members(e->parts.data, json_incref(view->members));
  judge(e, view);
  if (!*e->lease) return;
  if (view->joined && e->introduced)
    tiny_talk_watch(&e->watching, tiny_election_watch(&e->keys, e->revision + 1), e->lease_ms, 0,
                    e->lease_ms / 12);
  else
    tiny_talk_ask(&e->watching, "/v3/kv/put",
                  tiny_election_join(&e->keys, e->lease, e->parts.identity), e->lease_ms / 4,
                  on_joined);
}

static void on_looked(void *owner, int code, const char *message) {
  tiny_election *e = owner;
  tiny_election_view view;
  if (code == TINY_ETCD_NOT_FOUND) {
    tiny_election_lose(e, "lease", true);
    return;
  }
  if (code != TINY_ETCD_OK || !e->watching.answer) {
    tiny_election_failed(e, &e->watching, message);
    return;
  }
  tiny_election_answered(e);
  tiny_election_read(&e->keys, e->watching.answer, e->lease, &view);
  if (view.won) {
    tiny_election_win(e, view.revision);
    tiny_talk_go_on(&e->watching, 0); /* to see who else is there */
  } else {
    take(e, &view);
  }
  json_decref(view.members);
}

void tiny_election_tend_keys(void *data) {
  tiny_election *e = data;
  bool may = e->candidate && !e->active;
  if (!*e->lease) return;
  if (may && e->parts.silence_ns(e->parts.data) < e->lease_ms * MS / 2)
    tiny_talk_ask(&e->watching, "/v3/kv/txn",
                  tiny_election_campaign(&e->keys, e->lease, e->parts.identity), e->lease_ms / 4,
                  on_looked);
  else
    tiny_talk_ask(&e->watching, "/v3/kv/range", tiny_election_look(&e->keys), e->lease_ms / 4,
                  on_looked);
}
