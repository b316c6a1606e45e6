/* SPDX-License-Identifier: MIT
 * test_conf.c -- the configuration in C: reading it, masking it, taking it from Lua. */
#include "conf.h"
#include "conf_take.h"
#include "mask.h"
#include "suite.h"

#include <check.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lua_State *L;

static void setup(void) {
  L = luaL_newstate();
  ck_assert_ptr_nonnull(L);
  luaL_openlibs(L);
}

static void teardown(void) {
  ck_assert_int_eq(lua_gettop(L), 0);
  lua_close(L);
}

static tiny_conf *new_conf(const char *json, const char *path) {
  json_t *keys = json_loads(json, 0, NULL);
  ck_assert_ptr_nonnull(keys);
  tiny_conf *conf = tiny_conf_new(keys, path);
  ck_assert_ptr_nonnull(conf);
  return conf;
}

START_TEST(values_are_read_by_key_and_type) {
  tiny_conf *conf =
      new_conf("{\"t\":\"text\",\"n\":2.5,\"i\":3,\"b\":true,\"l\":[1],\"z\":null}", "/a/conf.lua");
  ck_assert_str_eq(tiny_conf_string(conf, "t"), "text");
  ck_assert_double_eq(tiny_conf_number(conf, "n"), 2.5);
  ck_assert_double_eq(tiny_conf_number(conf, "i"), 3);
  ck_assert(tiny_conf_bool(conf, "b"));
  ck_assert_uint_eq(json_array_size(tiny_conf_json(conf, "l")), 1);
  ck_assert_ptr_null(tiny_conf_string(conf, "n"));
  ck_assert_double_eq(tiny_conf_number(conf, "t"), 0);
  ck_assert(!tiny_conf_bool(conf, "t"));
  ck_assert_ptr_null(tiny_conf_json(conf, "missing"));
  ck_assert_ptr_null(tiny_conf_json(conf, "z"));
  tiny_conf_drop(conf);
}
END_TEST

START_TEST(seconds_are_rounded_up_and_saturate) {
  tiny_conf *conf =
      new_conf("{\"a\":1.5,\"b\":0.0001,\"c\":-1,\"d\":1e300,\"e\":0.057,\"f\":0,\"g\":1e9}", "c");
  ck_assert_uint_eq(tiny_conf_ms(conf, "a"), 1500);
  ck_assert_uint_eq(tiny_conf_ms(conf, "b"), 1);
  ck_assert_uint_eq(tiny_conf_ns(conf, "b"), 100000);
  ck_assert_uint_eq(tiny_conf_ms(conf, "c"), 0);
  ck_assert_uint_eq(tiny_conf_ms(conf, "d"), UINT64_MAX);
  ck_assert_uint_eq(tiny_conf_ms(conf, "e"), 57);
  ck_assert_uint_eq(tiny_conf_ms(conf, "f"), 0);
  ck_assert_uint_eq(tiny_conf_ns(conf, "g"), 1000000000000000000u);
  tiny_conf_drop(conf);
}
END_TEST

static void check_path(const char *file, const char *value, const char *expected) {
  json_t *keys = json_pack("{s:s}", "p", value);
  tiny_conf *conf = tiny_conf_new(keys, file);
  char *path = tiny_conf_path(conf, "p");
  ck_assert_str_eq(path, expected);
  free(path);
  tiny_conf_drop(conf);
}

START_TEST(paths_are_relative_to_the_conf_file) {
  check_path("/srv/x/conf.lua", "a.log", "/srv/x/a.log");
  check_path("/srv/x/conf.lua", "./a.log", "/srv/x/a.log");
  check_path("/srv/x/conf.lua", "../a.log", "/srv/x/../a.log");
  check_path("/srv/x/conf.lua", "/var/a.log", "/var/a.log");
  check_path("/srv/x/conf.lua", ".", "/srv/x");
  check_path("/conf.lua", "a.log", "/a.log");
  check_path("/conf.lua", ".", "/");
}
END_TEST

START_TEST(a_relative_conf_file_is_made_absolute) {
  ck_assert_int_eq(chdir("/usr"), 0);
  tiny_conf *conf = new_conf("{}", "lib/conf.lua");
  ck_assert_int_eq(chdir("/"), 0);
  ck_assert_str_eq(tiny_conf_file(conf), "/usr/lib/conf.lua");
  ck_assert_str_eq(tiny_conf_dir(conf), "/usr/lib");
  ck_assert_ptr_null(tiny_conf_path(conf, "p"));
  tiny_conf_drop(conf);
}
END_TEST

START_TEST(a_conf_lives_until_its_last_reference_is_dropped) {
  tiny_conf *conf = new_conf("{\"a\":\"b\"}", "c");
  ck_assert_ptr_eq(tiny_conf_hold(conf), conf);
  tiny_conf_drop(conf);
  ck_assert_str_eq(tiny_conf_string(conf, "a"), "b");
  tiny_conf_drop(conf);
  ck_assert_ptr_null(tiny_conf_hold(NULL));
  tiny_conf_drop(NULL);
}
END_TEST

static void check_masked(const char *json, const char *expected) {
  json_t *keys = json_loads(json, 0, NULL);
  ck_assert_msg(keys != NULL, "%s", json);
  json_t *masked = tiny_mask(keys);
  char *text = json_dumps(masked, JSON_COMPACT);
  ck_assert_str_eq(text, expected);
  free(text);
  json_decref(masked);
  json_decref(keys);
}

START_TEST(keys_that_speak_of_secrets_are_masked_at_any_depth) {
  check_masked("{\"db.password\":\"x\",\"db.host\":\"h\"}",
               "{\"db.password\":\"***\",\"db.host\":\"h\"}");
  check_masked("{\"db\":{\"users\":[{\"passwd\":1}]}}",
               "{\"db\":{\"users\":[{\"passwd\":\"***\"}]}}");
  check_masked("{\"auth_token\":{\"a\":[1,2]}}", "{\"auth_token\":\"***\"}");
  check_masked("{\"svr.monitor.curve\":{\"secret_key\":\"s\",\"public_key\":\"p\"}}",
               "{\"svr.monitor.curve\":{\"secret_key\":\"***\",\"public_key\":\"p\"}}");
  check_masked("{\"api_key\":null}", "{\"api_key\":null}");
}
END_TEST

START_TEST(secret_names_are_told_from_harmless_ones) {
  static const char *const secret[] = {
      "password",    "DB_PASSWORD", "smtp.passwd",     "client_secret", "x.secrets.y", "token",
      "authToken",   "api_key",     "apiKey",          "apikey",        "API_KEY",     "api-keys",
      "private_key", "privateKey",  "sshKey",          "SSHKey",        "key",         "db.pass",
      "pwd",         "passphrase",  "aws_credentials", "encryption key"};
  static const char *const harmless[] = {
      "public_key", "publicKey", "pub-key", "monkey", "keyboard",   "keys_file", "primary_key",
      "compass",    "bypass",    "name",    "",       "key_prefix", "turkeys"};
  for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
    ck_assert_msg(tiny_mask_is_secret(secret[i], strlen(secret[i])), "%s", secret[i]);
  for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
    ck_assert_msg(!tiny_mask_is_secret(harmless[i], strlen(harmless[i])), "%s", harmless[i]);
}
END_TEST

START_TEST(the_mail_password_is_masked) {
  check_masked("{\"log.email.config\":{\"from\":[\"a@x.com\",\"pw\"],\"target\":[\"b@x.com\"]}}",
               "{\"log.email.config\":{\"from\":[\"a@x.com\",\"***\"],\"target\":[\"b@x.com\"]}}");
}
END_TEST

static void check_string(const char *value, const char *expected) {
  json_t *keys = json_pack("{s:s}", "u", value);
  json_t *masked = tiny_mask(keys);
  ck_assert_str_eq(json_string_value(json_object_get(masked, "u")), expected);
  json_decref(masked);
  json_decref(keys);
}

START_TEST(passwords_inside_urls_are_masked) {
  check_string("redis://user:pw@host:6379/0", "redis://user:***@host:6379/0");
  check_string("redis://:pw@host", "redis://:***@host");
  check_string("x postgres://a:b@h/d, amqp://c:d@i/", "x postgres://a:***@h/d, amqp://c:***@i/");
  check_string("mongodb://a:b@h1:1,h2:2/d", "mongodb://a:***@h1:1,h2:2/d");
  check_string("http://a:b@c@host/", "http://a:***@host/");
  check_string("http://a:b/c@host/", "http://a:***@host/");
  check_string("pg://h/d?user=a&password=b&x=1", "pg://h/d?user=a&password=***&x=1");
  check_string("pg://h/d?api_key=b", "pg://h/d?api_key=***");
  check_string("http://user@host/", "http://user@host/");
  check_string("http://host:80/a@b", "http://host:80/a@b");
  check_string("http://[::1]:80/a", "http://[::1]:80/a");
  check_string("tcp://*:5558", "tcp://*:5558");
  check_string("://", "://");
  check_string("a:b@c", "a:b@c");
}
END_TEST

START_TEST(what_is_shown_is_valid_utf8) {
  json_t *keys = json_object();
  json_object_setn_new_nocheck(
      keys, "k\xff", 2,
      json_stringn_nocheck("a\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80\x00z\xe2\x82", 14));
  json_t *masked = tiny_mask(keys);
  const json_t *value = json_object_get(masked, "k?");
  const char expected[] = "a\xc3\xa9???\xf0\x9f\x98\x80\x00z??";
  ck_assert_uint_eq(json_string_length(value), sizeof expected - 1);
  ck_assert_mem_eq(json_string_value(value), expected, sizeof expected - 1);
  char *text = json_dumps(masked, 0);
  ck_assert_ptr_nonnull(text);
  free(text);
  json_decref(masked);
  json_decref(keys);
}
END_TEST

static long allocations_left;

static void *scarce_malloc(size_t size) { return allocations_left-- > 0 ? malloc(size) : NULL; }

START_TEST(running_out_of_memory_leaves_nothing_behind) {
  static const char json[] =
      "{\"a\":[1,{\"b\":\"c\"}],\"log.email.config\":{\"from\":[\"a\",\"b\"]}}";
  int failures = 0;
  for (long allowed = 0;; allowed++, failures++) {
    json_t *keys = json_loads(json, 0, NULL);
    json_set_alloc_funcs(scarce_malloc, free);
    allocations_left = allowed;
    tiny_conf *conf = tiny_conf_new(keys, "/conf.lua");
    json_set_alloc_funcs(malloc, free);
    tiny_conf_drop(conf);
    if (conf) break;
  }
  ck_assert_int_gt(failures, 10);
}
END_TEST

START_TEST(an_empty_text_and_an_empty_key_are_shown) { check_masked("{\"\":\"\"}", "{\"\":\"\"}"); }
END_TEST

/* Take what the Lua expression gives and compare it with JSON. */
static void check_taken(const char *lua, const char *expected) {
  char chunk[512], why[256] = "";
  snprintf(chunk, sizeof chunk, "return %s", lua);
  ck_assert_msg(luaL_dostring(L, chunk) == 0, "%s", lua_tostring(L, -1));
  json_t *taken = tiny_conf_take(L, -1, why, sizeof why);
  ck_assert_msg(taken != NULL, "%s: %s", lua, why);
  char *text = json_dumps(taken, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
  ck_assert_str_eq(text, expected);
  free(text);
  json_decref(taken);
  lua_pop(L, 1);
}

START_TEST(plain_data_is_taken) {
  check_taken("{a=1, b='x', c=true, d={1,2,{}}, e=0.5}",
              "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":[1,2,{}],\"e\":0.5}");
  check_taken("{}", "{}");
  check_taken("'text'", "\"text\"");
  check_taken("{2^53, -2^53, 2^60}", "[9007199254740992,-9007199254740992,1.152921504606847e18]");
  check_taken("{0/0, 1/0, -1/0, require'cjson'.null}", "[null,null,null,null]");
  check_taken("(function() local t = {1} return {t, t} end)()", "[[1],[1]]");
}
END_TEST

START_TEST(strings_keep_every_byte) {
  char why[64];
  ck_assert_int_eq(luaL_dostring(L, "return {['k\\0\\255'] = 'v\\0\\254'}"), 0);
  json_t *taken = tiny_conf_take(L, -1, why, sizeof why);
  const json_t *value = json_object_getn(taken, "k\0\xff", 3);
  ck_assert_uint_eq(json_string_length(value), 3);
  ck_assert_mem_eq(json_string_value(value), "v\0\xfe", 3);
  json_decref(taken);
  lua_pop(L, 1);
}
END_TEST

static void check_refused(const char *lua, const char *expected) {
  char chunk[512], why[256] = "";
  snprintf(chunk, sizeof chunk, "return %s", lua);
  ck_assert_msg(luaL_dostring(L, chunk) == 0, "%s", lua_tostring(L, -1));
  ck_assert_ptr_null(tiny_conf_take(L, -1, why, sizeof why));
  ck_assert_str_eq(why, expected);
  lua_pop(L, 1);
}

START_TEST(what_is_not_plain_is_refused_by_path) {
  check_refused("print", "the value is a function");
  check_refused("{db={conn=io.stdout}}", "db.conn is a userdata");
  check_refused("{db={{}, {['a b']=print}}}", "db[2][\"a b\"] is a function");
  check_refused("{x={coroutine.create(print)}}", "x[1] is a thread");
  check_refused("{n=1LL}", "n is a cdata");
  check_refused("{a=setmetatable({}, {})}", "a is a table with a metatable");
  check_refused("{a={1, nil, 3}}",
                "a[1] is under a key that is neither a string nor part of a list 1..n");
  check_refused("(function() local t = {} t.a = {t} return t end)()",
                "a[1] is a table that contains itself");
}
END_TEST

START_TEST(depth_and_size_are_bounded) {
  char why[512];
  ck_assert_int_eq(luaL_dostring(L, "local t = {} for _ = 1, 99 do t = {t} end return t"), 0);
  json_t *taken = tiny_conf_take(L, -1, why, sizeof why);
  ck_assert_ptr_nonnull(taken);
  json_decref(taken);
  ck_assert_int_eq(luaL_dostring(L, "local t = {} for _ = 1, 100 do t = {t} end return t"), 0);
  ck_assert_ptr_null(tiny_conf_take(L, -1, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "is nested too deep"));
  ck_assert_int_eq(luaL_dostring(L, "local t = {} for _ = 1, 40 do t = {t, t} end return t"), 0);
  ck_assert_ptr_null(tiny_conf_take(L, -1, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "is one value too many"));
  lua_pop(L, 3);
}
END_TEST

START_TEST(taking_without_memory_leaves_nothing_behind) {
  char why[64];
  int failures = 0;
  json_t *taken = NULL;
  ck_assert_int_eq(luaL_dostring(L, "return {a = {1, {b = 'c'}}, d = 0.5}"), 0);
  for (long allowed = 0; !taken; allowed++, failures++) {
    json_set_alloc_funcs(scarce_malloc, free);
    allocations_left = allowed;
    taken = tiny_conf_take(L, -1, why, sizeof why);
    json_set_alloc_funcs(malloc, free);
    if (!taken) ck_assert_str_eq(why, "out of memory");
  }
  ck_assert_int_gt(failures, 5);
  json_decref(taken);
  lua_pop(L, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conf");
  TCase *tcase = tcase_create("conf");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, values_are_read_by_key_and_type);
  tcase_add_test(tcase, seconds_are_rounded_up_and_saturate);
  tcase_add_test(tcase, paths_are_relative_to_the_conf_file);
  tcase_add_test(tcase, a_relative_conf_file_is_made_absolute);
  tcase_add_test(tcase, a_conf_lives_until_its_last_reference_is_dropped);
  tcase_add_test(tcase, keys_that_speak_of_secrets_are_masked_at_any_depth);
  tcase_add_test(tcase, secret_names_are_told_from_harmless_ones);
  tcase_add_test(tcase, the_mail_password_is_masked);
  tcase_add_test(tcase, passwords_inside_urls_are_masked);
  tcase_add_test(tcase, what_is_shown_is_valid_utf8);
  tcase_add_test(tcase, running_out_of_memory_leaves_nothing_behind);
  tcase_add_test(tcase, an_empty_text_and_an_empty_key_are_shown);
  tcase_add_test(tcase, plain_data_is_taken);
  tcase_add_test(tcase, strings_keep_every_byte);
  tcase_add_test(tcase, what_is_not_plain_is_refused_by_path);
  tcase_add_test(tcase, depth_and_size_are_bounded);
  tcase_add_test(tcase, taking_without_memory_leaves_nothing_behind);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
