/* SPDX-License-Identifier: MIT
 * api_zmq.c -- tiny.core.zmq: ZeroMQ sockets, claimed by type, endpoints and name, by the plugin "zmq". */
#include "handle.h"
#include "plugin.h"
#include "runtime.h"
#include "wait.h"
#include "zmq_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 }; /* messages in one turn */

/* Who has a socket: the user of its claim, one for each generation. */
typedef struct holder {
  tiny_generation *generation;
  struct zsocket *socket;
  int handler; /* registry reference: called with each message; LUA_NOREF: tasks ask for them */
  unsigned live, limit; /* messages in its hands, and at most so many */
  bool left;            /* the claim has another holder: freed with the last message */
} holder;

typedef struct topic {
  struct topic *next;
  bool kept;
  size_t size;
  char text[];
} topic;

typedef struct zsocket {
  tiny_claim claim;
  const tiny_zmq_table *table;
  tiny_zmq_socket *zmq; /* NULL once it is closed */
  unsigned refs;        /* the claim's, those of handles and of messages in hand */
  tiny_task *reader, *writers;
  bool flows;
  topic *topics; /* that it is subscribed to */
  char key[];
} zsocket;

/* -- life ------------------------------------------------------------------ */

static void drop(void *thing) {
  zsocket *z = thing;
  if (--z->refs > 0) return;
  while (z->topics) {
    topic *t = z->topics;
    z->topics = t->next;
    free(t);
  }
  free(z);
}

static const tiny_handle_kind kind = {"tiny.zmq", "tiny.zmq", drop, NULL, NULL};

static holder *holder_of(const zsocket *z) { return z->claim.tenant.user; }

static bool delivers(const zsocket *z) {
  const holder *h = holder_of(z);
  return z->flows && h->handler != LUA_NOREF && h->live < h->limit;
}

/* What ready() is to tell of depends on who waits. */
static void want(zsocket *z) {
  if (z->zmq) z->table->want(z->zmq, z->reader || delivers(z), z->writers != NULL);
}

static void wake_writers(zsocket *z) {
  while (z->writers) {
    tiny_task *task = z->writers;
    z->writers = task->later;
    tiny_task_wake(task);
  }
}

static void fail_reader(zsocket *z) {
  if (z->reader) tiny_task_wake_failed(z->reader, UV_ECANCELED);
  z->reader = NULL;
}

static void free_holder(holder *h) {
  luaL_unref(h->generation->L, LUA_REGISTRYINDEX, h->handler);
  free(h);
}

/* -- messages to a handler ------------------------------------------------- */

/* The next one may begin; the socket may be another's by now. */
static void on_end(tiny_task *task) {
  holder *h = task->data;
  zsocket *z = h->socket;
  tiny_task_report(task);
  h->live--;
  if (h->left && h->live == 0)
    free_holder(h);
  else
    want(z);
  drop(z);
}

typedef struct begin_call {
  holder *holder;
  const tiny_zmq_part *parts;
  int count;
  tiny_task *task;
} begin_call;

static int begin_protected(lua_State *L) {
  begin_call *call = lua_touserdata(L, 1);
  luaL_checkstack(L, call->count + 4, "too many parts");
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->holder->handler);
  for (int i = 0; i < call->count; i++)
    lua_pushlstring(L, call->parts[i].data, call->parts[i].size);
  tiny_task *task = tiny_task_new(L, call->holder->generation, TINY_TASK_REQUEST);
  if (!lua_checkstack(task->co, call->count + 1)) return luaL_error(L, "too many parts");
  lua_xmove(L, task->co, call->count + 1);
  call->task = task;
  return 0;
}

static void begin(holder *h, const tiny_zmq_part *parts, int count) {
  begin_call call = {h, parts, count, NULL};
  tiny_generation *g = h->generation;
  if (tiny_lua_call(g, begin_protected, &call) == 0) {
    call.task->on_end = on_end;
    call.task->data = h;
    h->live++;
    h->socket->refs++;
    tiny_task_run(call.task, count);
    return;
  }
  tiny_err(g->runtime->log, "a message was lost: %s", lua_tostring(g->L, -1));
  lua_pop(g->L, 1);
}

/* A socket whose turn it is to send (REP) has nothing to give: it is asked again later. */
static void deliver(zsocket *z) {
  for (int i = 0; i < BATCH && z->zmq && delivers(z); i++) {
    const tiny_zmq_part *parts;
    int count;
    if (z->table->receive(z->zmq, &parts, &count) != 0) return;
    begin(holder_of(z), parts, count);
  }
}

static void on_ready(void *owner, bool in, bool out) {
  zsocket *z = owner;
  tiny_task *reader = in ? z->reader : NULL;
  z->refs++;
  if (out) wake_writers(z);
  if (reader) {
    z->reader = NULL;
    tiny_task_resume(reader);
  }
  if (in) deliver(z);
  want(z);
  drop(z);
}

/* -- the claim ------------------------------------------------------------- */

static void flow(tiny_claim *claim, bool flows) {
  zsocket *z = (zsocket *)claim;
  z->flows = flows;
  want(z);
}

static void forget(void *user) {
  holder *h = user;
  h->left = true;
  if (h->live == 0) free_holder(h);
}

static void close_claim(tiny_claim *claim) {
  zsocket *z = (zsocket *)claim;
  z->table->close(z->zmq);
  z->zmq = NULL;
  fail_reader(z);
  wake_writers(z);
  drop(z);
}

static const tiny_claim_kind claim_kind = {flow, close_claim, forget, true};

static zsocket *find(const tiny_claims *claims, const char *key, uint64_t generation) {
  for (tiny_claim *c = claims->first; c; c = c->next)
    if (c->kind == &claim_kind && tiny_claim_free_for(c, generation) &&
        strcmp(((zsocket *)c)->key, key) == 0)
      return (zsocket *)c;
  return NULL;
}

/* -- opening --------------------------------------------------------------- */

static tiny_sockets *sockets_of(lua_State *L) { return tiny_generation_of(L)->runtime->sockets; }

static const tiny_zmq_table *open_plugin(lua_State *L, tiny_sockets *s) {
  char why[512];
  if (!s->zmq_table) s->zmq_table = tiny_plugin_table("zmq", TINY_ZMQ_SYMBOL, why, sizeof why);
  if (!s->zmq_table) luaL_error(L, "tiny.zmq.socket: %s", why);
  if (!s->zmq) s->zmq = s->zmq_table->start(&s->runtime->loop);
  if (!s->zmq) luaL_error(L, "not enough memory");
  return s->zmq_table;
}

static const char *string_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = lua_isnil(L, -1) ? NULL : lua_tostring(L, -1);
  lua_pop(L, 1); /* the table holds it */
  return text;
}

/* Below 0 when it is not given. */
static lua_Number number_field(lua_State *L, const char *name, lua_Number factor) {
  lua_getfield(L, 1, name);
  lua_Number number = lua_isnil(L, -1) ? -1 : lua_tonumber(L, -1) * factor;
  lua_pop(L, 1);
  return number < 2147483647 ? number : 2147483647;
}

/* The strings of a list, NULL after the last; NULL for no list. Collected with the state's garbage. */
static const char *const *list_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  if (lua_isnil(L, -1)) return NULL;
  int count = (int)lua_objlen(L, -1);
  const char **list = lua_newuserdata(L, ((size_t)count + 1) * sizeof *list);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  list[count] = NULL;
  return list;
}

static tiny_zmq_order read_order(lua_State *L, zsocket *z) {
  return (tiny_zmq_order){
      .type = string_field(L, "type"),
      .binds = list_field(L, "bind"),
      .connects = list_field(L, "connect"),
      .send_hwm = (int)number_field(L, "send_hwm", 1),
      .recv_hwm = (int)number_field(L, "recv_hwm", 1),
      .linger_ms = (int)number_field(L, "linger", 1000),
      .heartbeat_ms = (int)number_field(L, "heartbeat", 1000),
      .max_size = (long long)number_field(L, "max_size", 1),
      .identity = string_field(L, "identity"),
      .curve = {.public_key = string_field(L, "public_key"),
                .secret_key = string_field(L, "secret_key"),
                .server_key = string_field(L, "server_key"),
                .clients = list_field(L, "clients")},
      .ready = on_ready,
      .owner = z,
  };
}

/* What is open goes on as it is; only its holder is another. */
static void take_over(zsocket *z, tiny_claims *claims, holder *h) {
  h->socket = z;
  tiny_claims_take(claims, &z->claim,
                   (tiny_tenant){.generation = h->generation->number, .user = h});
  fail_reader(z);
  want(z);
}

static zsocket *zsocket_new(const tiny_zmq_table *table, const char *key) {
  size_t size = strlen(key) + 1;
  zsocket *z = calloc(1, sizeof *z + size);
  if (!z) return NULL;
  memcpy(z->key, key, size);
  z->table = table;
  z->refs = 1;
  return z;
}

/* Returns NULL with what went wrong in 'why' and an errno of ZeroMQ's. */
static zsocket *open_new(lua_State *L, holder *h, const char *key, char *why, size_t why_size,
                         int *code) {
  tiny_sockets *s = sockets_of(L);
  zsocket *z = zsocket_new(s->zmq_table, key);
  *code = ENOMEM;
  if (!z) return NULL;
  tiny_zmq_order order = read_order(L, z);
  z->zmq = s->zmq_table->open(s->zmq, &order, why, why_size, code);
  if (!z->zmq) {
    free(z);
    return NULL;
  }
  h->socket = z;
  tiny_tenant tenant = {.generation = h->generation->number, .user = h};
  tiny_claims_add(&s->harbour.claims, &z->claim, &claim_kind, tenant);
  return z;
}

static int push_failure(lua_State *L, const tiny_zmq_table *table, const char *what, int code) {
  const char *name;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", what, table->describe(code, &name));
  lua_pushstring(L, name);
  return 3;
}

/* open(order, key) -> socket | nil, message, NAME. The order is a table that lua/tiny/zmq.lua has checked. */
static int l_open(lua_State *L) {
  tiny_generation *g = tiny_generation_acting(L, "tiny.zmq.socket");
  tiny_sockets *s = sockets_of(L);
  const tiny_zmq_table *table = open_plugin(L, s);
  const char *key = luaL_checkstring(L, 2);
  char why[512] = "no memory";
  int code = ENOMEM;
  if (g->life != TINY_ENTERED) return push_failure(L, table, "on its way out", ECANCELED);
  lua_settop(L, 2);
  tiny_handle *handle = tiny_handle_new(L, &kind);
  holder *h = calloc(1, sizeof *h);
  if (!h) return push_failure(L, table, why, code);
  *h = (holder){.generation = g, .handler = LUA_NOREF, .limit = 1};
  zsocket *z = find(&s->harbour.claims, key, g->number);
  if (z)
    take_over(z, &s->harbour.claims, h);
  else
    z = open_new(L, h, key, why, sizeof why, &code);
  if (!z) {
    free(h);
    return push_failure(L, table, why, code);
  }
  z->refs++;
  tiny_handle_set(handle, z);
  lua_settop(L, 3);
  return 1;
}

/* -- using ----------------------------------------------------------------- */

/* NULL once it is closed. */
static zsocket *check(lua_State *L) {
  zsocket *z = tiny_handle_check(L, 1, &kind)->thing;
  return z && z->zmq ? z : NULL;
}

static bool owns(lua_State *L, const zsocket *z) {
  return z->claim.tenant.generation == tiny_generation_of(L)->number;
}

/* nil, message, NAME for the waiting one */
static int fail_wait(lua_State *L, const zsocket *z, int code) {
  const char *name;
  tiny_wait_over(L);
  lua_pushnil(L);
  lua_pushstring(L, z->table->describe(code, &name));
  lua_pushstring(L, name);
  return 5;
}

static void leave_reader(tiny_task *task) {
  zsocket *z = task->source;
  z->reader = NULL;
  want(z);
}

static int push_parts(lua_State *L, const tiny_zmq_part *parts, int count) {
  luaL_checkstack(L, count + 2, "too many parts");
  tiny_wait_over(L);
  for (int i = 0; i < count; i++) lua_pushlstring(L, parts[i].data, parts[i].size);
  return count + 2;
}

/* receive(socket, deadline) -> parts. Whoever asks last has it. */
static int l_receive(lua_State *L) {
  zsocket *z = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 2);
  tiny_task *task = tiny_task_here(L, "zmq:recv");
  const tiny_zmq_part *parts;
  int count;
  if (!z || !owns(L, z)) return tiny_wait_failed(L, UV_ECANCELED);
  if (holder_of(z)->handler != LUA_NOREF)
    return luaL_error(L, "zmq:recv: the messages go to the socket's handler");
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  fail_reader(z);
  int code = z->table->receive(z->zmq, &parts, &count);
  if (code == EAGAIN && !tiny_wait_late(deadline)) {
    z->reader = task;
    want(z);
    return tiny_task_park_until(task, leave_reader, z, deadline);
  }
  if (code == EAGAIN) return tiny_wait_failed(L, UV_ETIMEDOUT);
  return code == 0 ? push_parts(L, parts, count) : fail_wait(L, z, code);
}

static void leave_writers(tiny_task *task) {
  zsocket *z = task->source;
  tiny_task **at = &z->writers;
  while (*at != task) at = &(*at)->later;
  *at = task->later;
  want(z);
}

static int park_writer(zsocket *z, tiny_task *task, uint64_t deadline) {
  tiny_task **at = &z->writers;
  while (*at) at = &(*at)->later;
  task->later = NULL;
  *at = task;
  want(z);
  return tiny_task_park_until(task, leave_writers, z, deadline);
}

/* The string or the list of strings at 'index'. They are anchored by the table, or by the stack. */
static int take_parts(lua_State *L, int index, const tiny_zmq_part **parts) {
  bool list = lua_istable(L, index);
  int count = list ? (int)lua_objlen(L, index) : 1;
  luaL_argcheck(L, count > 0, index, "a message has at least one part");
  tiny_zmq_part *all = lua_newuserdata(L, (size_t)count * sizeof *all);
  for (int i = 0; i < count; i++) {
    if (list)
      lua_rawgeti(L, index, i + 1);
    else
      lua_pushvalue(L, index);
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "zmq:send: strings are expected, got %s", luaL_typename(L, -1));
    all[i].data = lua_tolstring(L, -1, &all[i].size);
    lua_pop(L, 1);
  }
  *parts = all;
  return count;
}

static int send_parts(lua_State *L, zsocket *z) {
  tiny_zmq_part one;
  const tiny_zmq_part *parts = &one;
  int count = 1;
  if (lua_type(L, 2) == LUA_TSTRING)
    one.data = lua_tolstring(L, 2, &one.size);
  else
    count = take_parts(L, 2, &parts);
  return z->table->send(z->zmq, parts, count);
}

/* send(socket, part or parts, deadline) -> true */
static int l_send(lua_State *L) {
  zsocket *z = check(L);
  uint64_t deadline = tiny_wait_deadline(L, 3);
  tiny_task *task = tiny_task_here(L, "zmq:send");
  if (!z) return tiny_wait_failed(L, UV_ECANCELED);
  if (tiny_task_is_greedy(task)) return tiny_task_give_way(task);
  int code = send_parts(L, z);
  if (code == EAGAIN && !tiny_wait_late(deadline)) return park_writer(z, task, deadline);
  if (code == EAGAIN) return tiny_wait_failed(L, UV_ETIMEDOUT);
  if (code != 0) return fail_wait(L, z, code);
  want(z); /* a REP may receive again now */
  return tiny_wait_true(L);
}

/* handle(socket, fn, limit): call fn with each message, up to so many at a time */
static int l_handle(lua_State *L) {
  zsocket *z = check(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_Number limit = luaL_checknumber(L, 3);
  if (!z || !owns(L, z)) return luaL_error(L, "zmq:on: the socket is closed");
  holder *h = holder_of(z);
  lua_pushvalue(L, 2);
  int handler = luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_unref(L, LUA_REGISTRYINDEX, h->handler);
  h->handler = handler;
  h->limit = limit >= 1 && limit < 1e6 ? (unsigned)limit : 1000000;
  fail_reader(z);
  want(z);
  return 0;
}

/* -- topics ---------------------------------------------------------------- */

static topic **find_topic(zsocket *z, const char *text, size_t size) {
  topic **at = &z->topics;
  while (*at && ((*at)->size != size || memcmp((*at)->text, text, size) != 0)) at = &(*at)->next;
  return at;
}

static int add_topic(zsocket *z, const char *text, size_t size) {
  topic **at = find_topic(z, text, size), *t = *at;
  if (t) {
    t->kept = true;
    return 0;
  }
  t = calloc(1, sizeof *t + size);
  if (!t) return ENOMEM;
  *t = (topic){.kept = true, .size = size};
  memcpy(t->text, text, size);
  int code = z->table->subscribe(z->zmq, text, size, true);
  if (code == 0)
    *at = t;
  else
    free(t);
  return code;
}

static void remove_topic(zsocket *z, topic **at) {
  topic *t = *at;
  *at = t->next;
  z->table->subscribe(z->zmq, t->text, t->size, false);
  free(t);
}

/* subscribe(socket, topic, on) -> true | nil, message, NAME */
static int l_subscribe(lua_State *L) {
  zsocket *z = check(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  bool on = lua_toboolean(L, 3);
  if (!z || !owns(L, z)) return luaL_error(L, "zmq:subscribe: the socket is closed");
  topic **at = find_topic(z, text, size);
  int code = on ? add_topic(z, text, size) : 0;
  if (!on && *at) remove_topic(z, at);
  if (code != 0) return push_failure(L, z->table, "subscribe", code);
  lua_pushboolean(L, 1);
  return 1;
}

/* keep(socket, topics): those of the generation before that are not in the list are let go */
static int l_keep(lua_State *L) {
  zsocket *z = check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!z || !owns(L, z)) return 0;
  for (topic *t = z->topics; t; t = t->next) t->kept = false;
  for (int i = 1, count = (int)lua_objlen(L, 2); i <= count; i++) {
    size_t size;
    lua_rawgeti(L, 2, i);
    const char *text = lua_tolstring(L, -1, &size);
    topic *t = *find_topic(z, text, size);
    if (t) t->kept = true;
    lua_pop(L, 1);
  }
  for (topic **at = &z->topics; *at;) {
    if ((*at)->kept)
      at = &(*at)->next;
    else
      remove_topic(z, at);
  }
  return 0;
}

/* -- the rest -------------------------------------------------------------- */

/* endpoint(socket) -> that was bound last; "" for none */
static int l_endpoint(lua_State *L) {
  zsocket *z = check(L);
  lua_pushstring(L, z ? z->table->endpoint(z->zmq) : "");
  return 1;
}

/* close(socket): the claim is let go, when it is ours */
static int l_close(lua_State *L) {
  tiny_handle *handle = tiny_handle_check(L, 1, &kind);
  zsocket *z = check(L);
  if (z && owns(L, z)) {
    fail_reader(z);
    tiny_claims_release(&handle->generation->runtime->sockets->harbour.claims, &z->claim);
  }
  tiny_handle_close(handle);
  return 0;
}

static const luaL_Reg functions[] = {
    {"open", l_open},         {"receive", l_receive},     {"send", l_send},
    {"handle", l_handle},     {"subscribe", l_subscribe}, {"keep", l_keep},
    {"endpoint", l_endpoint}, {"close", l_close},         {NULL, NULL},
};

int luaopen_tiny_zmq(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  tiny_handle_register(L, &kind, none);
  lua_setfield(L, -2, "handle_type"); /* the metatable, for lua/tiny/zmq.lua */
  return 1;
}
