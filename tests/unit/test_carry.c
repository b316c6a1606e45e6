/* SPDX-License-Identifier: MIT
 * test_carry.c -- plain data from one state to another. */
#include "carry.h"
#include "parcel.h"
#include "suite.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An allocator that says no from some call on, and counts what it gave. */
typedef struct scarce {
  long left; /* allocations until it says no; negative: never */
  size_t live;
} scarce;

static void *scarce_alloc(void *data, void *old, size_t old_size, size_t size) {
  scarce *s = data;
  if (size > old_size && s->left >= 0 && s->left-- == 0) {
    s->left = 0;
    return NULL;
  }
  s->live += size - old_size;
  if (size > 0) return realloc(old, size);
  free(old);
  return NULL;
}

static scarce from_memory, to_memory;
static lua_State *from, *to;
static char why[512];

static lua_State *new_state(scarce *memory) {
  *memory = (scarce){-1, 0};
  lua_State *L = lua_newstate(scarce_alloc, memory);
  ck_assert_ptr_nonnull(L);
  luaL_openlibs(L);
  return L;
}

static void setup(void) {
  from = new_state(&from_memory);
  to = new_state(&to_memory);
  why[0] = 0;
}

/* Every test ends with empty stacks, running collectors and all memory given back. */
static void teardown(void) {
  ck_assert_int_eq(lua_gettop(from), 0);
  ck_assert_int_eq(lua_gettop(to), 0);
  ck_assert_int_eq(lua_gc(from, LUA_GCISRUNNING, 0), 1);
  ck_assert_int_eq(lua_gc(to, LUA_GCISRUNNING, 0), 1);
  lua_close(from);
  lua_close(to);
  ck_assert_uint_eq(from_memory.live, 0);
  ck_assert_uint_eq(to_memory.live, 0);
}

static const tiny_carry_terms plain = {.name = "context"};

/* Into the other state. */
static int carry(int index, const tiny_carry_terms *terms, size_t why_size) {
  tiny_parcel parcel;
  if (tiny_carry_pack(from, index, terms, &parcel, why, why_size) != 0) return -1;
  int rc = tiny_carry_unpack(to, &parcel, terms, why, why_size);
  free(parcel.bytes);
  return rc;
}

/* Run Lua in a state with 'nargs' arguments on its stack, leaving 'nresults'. */
static void run(lua_State *L, const char *code, int nargs, int nresults) {
  ck_assert_msg(luaL_loadstring(L, code) == 0, "%s", lua_tostring(L, -1));
  lua_insert(L, -nargs - 1);
  ck_assert_msg(lua_pcall(L, nargs, nresults, 0) == 0, "%s", lua_tostring(L, -1));
}

/* Carry what 'make' returns and run 'check' on it, as ..., in the other state. */
static void carried(const char *make, const char *check) {
  run(from, make, 0, 1);
  ck_assert_msg(carry(-1, &plain, sizeof why) == 0, "%s: %s", make, why);
  ck_assert_int_eq(lua_gettop(from), 1);
  ck_assert_int_eq(lua_gettop(to), 1);
  lua_pop(from, 1);
  run(to, check, 1, 0);
}

static void refused(const char *make, const char *reason) {
  run(from, make, 0, 1);
  ck_assert_msg(carry(-1, &plain, sizeof why) == -1, "%s", make);
  ck_assert_str_eq(why, reason);
  ck_assert_int_eq(lua_gettop(from), 1);
  ck_assert_int_eq(lua_gettop(to), 0);
  lua_pop(from, 1);
}

START_TEST(scalars_arrive) {
  carried("return nil", "assert(... == nil)");
  carried("return true", "assert(... == true)");
  carried("return false", "assert(... == false)");
  carried("return 1.5", "assert(... == 1.5)");
  carried("return 'a\\0b\\255'", "assert(... == 'a\\0b\\255')");
  carried("return ''", "assert(... == '')");
}
END_TEST

START_TEST(numbers_keep_every_bit) {
  carried(
      "return {2^53 + 2, -0, 0/0, 1/0, -1/0, 5e-324, 1e308}",
      "local t = ... assert(t[1] == 2^53 + 2 and 1 / t[2] == -1/0 and t[3] ~= t[3] and t[4] == 1/0"
      " and t[5] == -1/0 and t[6] == 5e-324 and t[7] == 1e308)");
}
END_TEST

START_TEST(tables_keep_their_keys_and_values) {
  carried("return {1, 'two', {3}, a = {b = {c = false}}, [1.5] = 'x', [-1] = 'y', [true] = 'z', "
          "[100] = 'far'}",
          "local t = ... assert(t[1] == 1 and t[2] == 'two' and t[3][1] == 3 and #t == 3)\n"
          "assert(t.a.b.c == false and t[1.5] == 'x' and t[-1] == 'y' and t[true] == 'z' and "
          "t[100] == 'far')\n"
          "local n = 0 for _ in pairs(t) do n = n + 1 end assert(n == 8)");
  carried("return {}", "assert(next(...) == nil)");
}
END_TEST

START_TEST(lists_with_gaps_keep_them) {
  carried("return {1, nil, 3, nil, nil, 6}",
          "local t = ... assert(t[1] == 1 and t[2] == nil and t[3] == 3)\n"
          "assert(t[6] == 6)");
}
END_TEST

START_TEST(shared_references_stay_shared) {
  carried("local s = {1} return {a = s, b = {s, s}}",
          "local t = ... assert(t.a == t.b[1] and t.a == t.b[2] and t.a[1] == 1)");
}
END_TEST

START_TEST(cycles_stay_cycles) {
  carried("local t = {x = {}} t.self = t t.x.up = t return t",
          "local t = ... assert(t.self == t and t.x.up == t)");
}
END_TEST

START_TEST(tables_may_be_keys) {
  carried(
      "local k = {name = 'k', [{'inner'}] = true} local t = {[k] = 'v', k = k} t[t] = t return t",
      "local t = ... assert(t[t.k] == 'v' and t.k.name == 'k' and t[t] == t)\n"
      "for k, v in pairs(t.k) do if type(k) == 'table' then assert(k[1] == 'inner' and v == true) "
      "end end");
}
END_TEST

START_TEST(cjson_null_arrives) {
  carried("return {x = require 'cjson'.null}", "assert((...).x == require 'cjson'.null)");
}
END_TEST

START_TEST(cdata_of_64_bits_arrive) {
  carried("local ffi = require 'ffi'\n"
          "return {0LL, -1LL, 0x7fffffffffffffffLL, -0x7fffffffffffffffLL - 1, 0ULL, "
          "0xffffffffffffffffULL,\n"
          "  9007199254740993LL, ffi.new('int64_t', -5), ffi.new('uint64_t', 5), -4294967296LL}",
          "local t = ...\n"
          "local expected = {0LL, -1LL, 0x7fffffffffffffffLL, -0x7fffffffffffffffLL - 1, 0ULL,\n"
          "  0xffffffffffffffffULL, 9007199254740993LL, -5LL, 5ULL, -4294967296LL}\n"
          "local ffi = require 'ffi'\n"
          "for i, v in ipairs(expected) do\n"
          "  assert(t[i] == v and ffi.typeof(t[i]) == ffi.typeof(v), tostring(t[i]))\n"
          "end");
}
END_TEST

START_TEST(a_state_that_never_asked_for_ffi_carries_its_literals) {
  carried("return {n = 5LL}", "assert((...).n == 5LL)");
}
END_TEST

START_TEST(many_texts_are_told_apart) {
  carried("local t = {}\n"
          "for i = 1, 10000 do t['key' .. i] = {name = 'value' .. i % 5000, ['f' .. i % 3000] = i} "
          "end\n"
          "return t",
          "local t, n = ..., 0\n"
          "for i = 1, 10000 do\n"
          "  local r = t['key' .. i]\n"
          "  assert(r.name == 'value' .. i % 5000 and r['f' .. i % 3000] == i)\n"
          "end\n"
          "for _ in pairs(t) do n = n + 1 end\n"
          "assert(n == 10000)");
}
END_TEST

START_TEST(a_large_context_arrives) {
  carried(
      "local t = {}\n"
      "for i = 1, 100000 do t[i] = {id = i, name = 'name ' .. i, text = ('x'):rep(i % 200)} end\n"
      "t.big = ('0123456789'):rep(100000)\n"
      "return t",
      "local t = ... assert(#t == 100000)\n"
      "for i = 1, 100000 do\n"
      "  assert(t[i].id == i and t[i].name == 'name ' .. i and #t[i].text == i % 200)\n"
      "end\n"
      "assert(t.big == ('0123456789'):rep(100000))");
}
END_TEST

START_TEST(nesting_is_bounded_by_memory_only) {
  carried(
      "local t = {} local top = t for i = 1, 1000000 do t.next = {i} t = t.next end return top",
      "local t = ... for i = 1, 1000000 do t = t.next assert(t[1] == i) end assert(t.next == nil)");
}
END_TEST

START_TEST(deep_references_to_shallow_tables_hold) {
  carried("local t = {} local top = t for _ = 1, 1000 do t[1] = {top} t = t[1] end t.top, t.me = "
          "top, t return top",
          "local top = ... local t = top while t[1] and t[1] ~= top do t = t[1] end\n"
          "assert(t.top == nil or t.top == top)\n"
          "t = top for _ = 1, 1000 do t = t[1] end assert(t.top == top and t.me == t)");
}
END_TEST

START_TEST(what_cannot_be_carried_is_named_by_its_path) {
  refused("return {db = {conn = io.stdout}}", "context.db.conn is a userdata");
  refused("return {f = print}", "context.f is a function");
  refused("return {{}, {co = coroutine.create(print)}}", "context[2].co is a thread");
  refused("return {['a b'] = {1, 2, print}}", "context[\"a b\"][3] is a function");
  refused("return {['a\"\\n\\\\'] = print}", "context[\"a\\\"\\10\\\\\"] is a function");
  refused("return {[1.5] = {[true] = print}}", "context[1.5][true] is a function");
  refused("return {n = require 'ffi'.new('int[2]')}", "context.n is a cdata");
  refused("return {o = setmetatable({}, {})}", "context.o is a table with a metatable");
  refused("return setmetatable({}, {})", "context is a table with a metatable");
  refused("return print", "context is a function");
  refused("return {x = {[print] = 1}}", "context.x has a function as a key");
  refused("return {[io.stdout] = 1}", "context has a userdata as a key");
  refused("return {[{}] = {f = print}}", "context[a table].f is a function");
  refused("return {a = {[{f = print}] = 1}}", "context[...].f is a function");
}
END_TEST

START_TEST(a_path_too_long_is_cut) {
  run(from, "local t = {f = print} for _ = 1, 1900 do t = {abcdefgh = t} end return t", 0, 1);
  ck_assert_int_eq(carry(-1, &plain, 40), -1);
  ck_assert_uint_eq(strlen(why), 39);
  ck_assert_int_eq(strncmp(why, "context[...].abcdefgh.abcdefgh", 30), 0);
  lua_pop(from, 1);
}
END_TEST

START_TEST(the_remedy_follows_the_reason) {
  tiny_carry_terms terms = {.name = "result", .remedy = "return plain data"};
  run(from, "return {print}", 0, 1);
  ck_assert_int_eq(carry(-1, &terms, sizeof why), -1);
  ck_assert_str_eq(why, "result[1] is a function; return plain data");
  lua_pop(from, 1);
}
END_TEST

START_TEST(any_index_may_be_given) {
  lua_pushinteger(from, 1);
  lua_pushinteger(from, 2);
  lua_pushinteger(from, 3);
  ck_assert_int_eq(carry(2, &plain, sizeof why), 0);
  ck_assert_int_eq(lua_tointeger(to, -1), 2);
  ck_assert_int_eq(carry(-3, &plain, sizeof why), 0);
  ck_assert_int_eq(lua_tointeger(to, -1), 1);
  ck_assert_int_eq(lua_gettop(from), 3);
  ck_assert_int_eq(lua_gettop(to), 2);
  ck_assert_int_eq(carry(LUA_REGISTRYINDEX, &plain, sizeof why), -1);
  ck_assert_int_eq(strncmp(why, "context", 7), 0);
  lua_settop(from, 0);
  lua_settop(to, 0);
}
END_TEST

START_TEST(a_stopped_collector_stays_stopped) {
  lua_gc(from, LUA_GCSTOP, 0);
  lua_gc(to, LUA_GCSTOP, 0);
  carried("return {1}", "assert((...)[1] == 1)");
  ck_assert_int_eq(lua_gc(from, LUA_GCISRUNNING, 0), 0);
  ck_assert_int_eq(lua_gc(to, LUA_GCISRUNNING, 0), 0);
  lua_gc(from, LUA_GCRESTART, 0);
  lua_gc(to, LUA_GCRESTART, 0);
}
END_TEST

/* -- userdata --------------------------------------------------------------- */

static void *thing; /* the one userdata that can be handed over */

static void *take_thing(lua_State *L, void *data) {
  (*(int *)data)++;
  return lua_touserdata(L, -1) == thing ? thing : NULL;
}

static void give_thing(lua_State *L, void *taken, void *data) {
  (void)data;
  *(void **)lua_newuserdata(L, sizeof taken) = taken;
}

static void give_nothing(lua_State *L, void *taken, void *data) {
  (void)taken;
  (void)data;
  luaL_error(L, "no thing today");
}

/* from: thing, {a = thing, b = {thing, [thing] = 1}} */
static void push_things(void) {
  thing = lua_newuserdata(from, 1);
  lua_pushvalue(from, 1);
  run(from, "local u = ... return {a = u, b = {u, [u] = 1}}", 1, 1);
}

START_TEST(userdata_go_where_the_caller_can_hand_them_over) {
  int taken = 0;
  tiny_carry_terms terms = {"context", NULL, take_thing, give_thing, &taken};
  push_things();
  ck_assert_int_eq(carry(-1, &terms, sizeof why), 0);
  ck_assert_int_eq(taken, 1);
  run(to, "local t = ... assert(t.a == t.b[1] and t.b[t.a] == 1) return t.a", 1, 1);
  ck_assert_ptr_eq(*(void **)lua_touserdata(to, -1), thing);
  lua_settop(to, 0);
  lua_settop(from, 0);
}
END_TEST

START_TEST(userdata_that_cannot_be_handed_over_are_refused) {
  int taken = 0;
  tiny_carry_terms terms = {"context", NULL, take_thing, give_thing, &taken};
  lua_pushnil(from);
  run(from, "return {x = io.stdout}", 0, 1);
  ck_assert_int_eq(carry(-1, &terms, sizeof why), -1);
  ck_assert_str_eq(why, "context.x is a userdata");
  lua_settop(from, 0);
}
END_TEST

static void give_nil(lua_State *L, void *taken, void *data) {
  (void)taken;
  (void)data;
  lua_pushnil(L);
}

START_TEST(userdata_may_be_left_out_with_what_they_are_the_key_of) {
  int taken = 0;
  tiny_carry_terms terms = {"context", NULL, take_thing, give_nil, &taken};
  push_things();
  ck_assert_msg(carry(-1, &terms, sizeof why) == 0, "%s", why);
  run(to, "local t = ... assert(t.a == nil and type(t.b) == 'table' and next(t.b) == nil)", 1, 0);
  lua_settop(from, 0);
}
END_TEST

START_TEST(an_error_in_handing_over_carries_nothing) {
  int taken = 0;
  tiny_carry_terms terms = {"context", NULL, take_thing, give_nothing, &taken};
  push_things();
  ck_assert_int_eq(carry(-1, &terms, sizeof why), -1);
  ck_assert_str_eq(why, "context: no thing today");
  lua_settop(from, 0);
}
END_TEST

/* -- parcels ---------------------------------------------------------------- */

/* A table that is a key comes late in a parcel, as very deep ones do. */
static const char all_kinds[] =
    "local t = {1, 'a', true, {x = 'a', y = 'b'}, n = 5LL, u = 6ULL, z = require 'cjson'.null}\n"
    "t.me, t[t], t.f, t[{1, {2}}] = t, 'key', false, 1 return {t, t}";

START_TEST(a_parcel_outlives_its_state_and_opens_twice) {
  tiny_parcel parcel;
  scarce memory;
  lua_State *L = new_state(&memory);
  run(L, "return {greeting = 'hello'}", 0, 1);
  ck_assert_int_eq(tiny_carry_pack(L, -1, &plain, &parcel, why, sizeof why), 0);
  lua_close(L);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(tiny_carry_unpack(to, &parcel, &plain, why, sizeof why), 0);
    run(to, "assert((...).greeting == 'hello')", 1, 0);
  }
  free(parcel.bytes);
}
END_TEST

static void *unpack_elsewhere(void *parcel) {
  return tiny_carry_unpack(to, parcel, &plain, why, sizeof why) == 0 ? to : NULL;
}

START_TEST(unpacking_needs_the_old_state_no_more) {
  tiny_parcel parcel;
  pthread_t thread;
  void *result;
  run(from,
      "records = {} for i = 1, 20000 do records[i] = {name = 'name ' .. i} end return records", 0,
      1);
  ck_assert_int_eq(tiny_carry_pack(from, -1, &plain, &parcel, why, sizeof why), 0);
  lua_pop(from, 1);
  ck_assert_int_eq(pthread_create(&thread, NULL, unpack_elsewhere, &parcel), 0);
  run(from, "for i = 1, 20000 do records[i] = {name = 'other ' .. i} end collectgarbage()", 0, 0);
  ck_assert_int_eq(pthread_join(thread, &result), 0);
  ck_assert_ptr_eq(result, to);
  run(to, "local t = ... for i = 1, 20000 do assert(t[i].name == 'name ' .. i) end", 1, 0);
  free(parcel.bytes);
}
END_TEST

START_TEST(a_refused_pack_leaves_no_parcel) {
  tiny_parcel parcel = {why, 1};
  lua_pushcfunction(from, luaopen_base);
  ck_assert_int_eq(tiny_carry_pack(from, -1, &plain, &parcel, why, sizeof why), -1);
  ck_assert_ptr_null(parcel.bytes);
  ck_assert_uint_eq(parcel.size, 0);
  lua_pop(from, 1);
}
END_TEST

/* Unpack bytes that may be anything: all that counts is that nothing breaks. */
static int unpack_any(const char *bytes, size_t size) {
  tiny_parcel parcel = {malloc(size ? size : 1), size};
  memcpy(parcel.bytes, bytes, size);
  int rc = tiny_carry_unpack(to, &parcel, &plain, why, sizeof why);
  ck_assert_int_eq(lua_gettop(to), rc == 0 ? 1 : 0);
  lua_settop(to, 0);
  free(parcel.bytes);
  return rc;
}

START_TEST(a_parcel_cut_short_is_refused) {
  tiny_parcel parcel;
  run(from, all_kinds, 0, 1);
  ck_assert_int_eq(tiny_carry_pack(from, -1, &plain, &parcel, why, sizeof why), 0);
  for (size_t size = 0; size < parcel.size; size++)
    ck_assert_int_eq(unpack_any(parcel.bytes, size), -1);
  ck_assert_int_eq(unpack_any(parcel.bytes, parcel.size), 0);
  free(parcel.bytes);
  lua_pop(from, 1);
}
END_TEST

START_TEST(a_damaged_parcel_does_no_harm) {
  tiny_parcel parcel;
  int refusals = 0;
  run(from, all_kinds, 0, 1);
  ck_assert_int_eq(tiny_carry_pack(from, -1, &plain, &parcel, why, sizeof why), 0);
  for (size_t i = 0; i < parcel.size; i++) {
    char old = parcel.bytes[i];
    parcel.bytes[i] = (char)(old ^ (1 << i % 8));
    refusals += unpack_any(parcel.bytes, parcel.size) != 0;
    parcel.bytes[i] = (char)~old;
    refusals += unpack_any(parcel.bytes, parcel.size) != 0;
    parcel.bytes[i] = old;
  }
  ck_assert_int_gt(refusals, (int)parcel.size);
  free(parcel.bytes);
  lua_pop(from, 1);
}
END_TEST

START_TEST(what_is_no_parcel_is_refused) {
  ck_assert_int_eq(unpack_any("return {1, 2, 3}", 16), -1);
  ck_assert_str_eq(why, "context: this is not a parcel");
}
END_TEST

START_TEST(a_foreign_pointer_is_never_followed) {
  int taken = 0;
  tiny_carry_terms terms = {"context", NULL, take_thing, give_thing, &taken};
  tiny_parcel parcel;
  push_things();
  ck_assert_int_eq(tiny_carry_pack(from, -1, &terms, &parcel, why, sizeof why), 0);
  ck_assert_int_eq(unpack_any(parcel.bytes, parcel.size), -1);
  ck_assert_str_eq(why, "context: the parcel holds a userdata");
  free(parcel.bytes);
  lua_settop(from, 0);
}
END_TEST

/* -- memory ----------------------------------------------------------------- */

static const char some_of_all[] = "local t = {1, 'a', n = 5LL, u = 6ULL, [{'late'}] = true}\n"
                                  "for i = 1, 250 do t[i] = {name = 'text ' .. i, {}} end return t";

/* Carry with so many allocations allowed in one of the states, the new one being fresh. (It has
 * loaded ffi: LuaJIT itself does not survive want of memory in that.) */
static int carry_within(scarce *memory, long allowed) {
  lua_close(to);
  to = new_state(&to_memory);
  run(to, "require 'ffi'", 0, 0);
  memory->left = allowed;
  int rc = carry(-1, &plain, sizeof why);
  memory->left = -1;
  ck_assert_int_eq(lua_gettop(from), 1);
  ck_assert_int_eq(lua_gettop(to), rc == 0 ? 1 : 0);
  if (rc != 0) ck_assert_msg(strstr(why, "not enough memory") != NULL, "%s", why);
  return rc;
}

/* Refuse the first allocation, then the second ... until none is. */
static long count_failures(scarce *memory) {
  long allowed = 0;
  run(from, some_of_all, 0, 1);
  while (carry_within(memory, allowed) != 0) allowed++;
  lua_settop(from, 0);
  lua_settop(to, 0);
  return allowed;
}

START_TEST(want_of_memory_in_the_old_state_is_an_error_like_others) {
  ck_assert_int_gt(count_failures(&from_memory), 5);
}
END_TEST

START_TEST(want_of_memory_in_the_new_state_is_an_error_like_others) {
  ck_assert_int_gt(count_failures(&to_memory), 500);
}
END_TEST

int main(void) {
  const TTest *tests[] = {
      scalars_arrive,
      numbers_keep_every_bit,
      tables_keep_their_keys_and_values,
      lists_with_gaps_keep_them,
      shared_references_stay_shared,
      cycles_stay_cycles,
      tables_may_be_keys,
      cjson_null_arrives,
      cdata_of_64_bits_arrive,
      a_state_that_never_asked_for_ffi_carries_its_literals,
      many_texts_are_told_apart,
      a_large_context_arrives,
      nesting_is_bounded_by_memory_only,
      deep_references_to_shallow_tables_hold,
      what_cannot_be_carried_is_named_by_its_path,
      a_path_too_long_is_cut,
      the_remedy_follows_the_reason,
      any_index_may_be_given,
      a_stopped_collector_stays_stopped,
      userdata_go_where_the_caller_can_hand_them_over,
      userdata_that_cannot_be_handed_over_are_refused,
      userdata_may_be_left_out_with_what_they_are_the_key_of,
      an_error_in_handing_over_carries_nothing,
      a_parcel_outlives_its_state_and_opens_twice,
      unpacking_needs_the_old_state_no_more,
      a_refused_pack_leaves_no_parcel,
      a_parcel_cut_short_is_refused,
      a_damaged_parcel_does_no_harm,
      what_is_no_parcel_is_refused,
      a_foreign_pointer_is_never_followed,
      want_of_memory_in_the_old_state_is_an_error_like_others,
      want_of_memory_in_the_new_state_is_an_error_like_others,
  };
  Suite *suite = suite_create("carry");
  TCase *tcase = tcase_create("carry");
  tcase_set_timeout(tcase, 100);
  tcase_add_checked_fixture(tcase, setup, teardown);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(tcase, tests[i]);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
