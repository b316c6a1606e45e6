/* SPDX-License-Identifier: MIT
 * calls.c -- what a call from C to Lua and back costs: bare lua_pcall() in a state of one's own, and
 * tiny_call() in a runtime. The Lua function is the same, and calls a C function in turn. */
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tiny.h>

enum { ROUNDS = 7, CALLS = 500000 };

static long total;

static int l_add(lua_State *L) {
  total += (long)lua_tointeger(L, 1);
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

static int open_counter(lua_State *L) {
  lua_pushcfunction(L, l_add);
  return 1;
}

static double cpu_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- bare -- */

static lua_State *open_bare(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushcfunction(L, l_add);
  lua_setglobal(L, "add");
  if (luaL_dostring(L, "local add = add return {count = function(self, n) return add(n) end}") != 0)
    abort();
  return L; /* server */
}

static double time_bare(lua_State *L) {
  double began = cpu_now();
  for (int i = 0; i < CALLS; i++) {
    lua_getfield(L, 1, "count");
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 1);
    if (lua_pcall(L, 2, 0, 0) != 0) abort();
  }
  return (cpu_now() - began) / CALLS * 1e9;
}

/* -- through the API -- */

static int call_count(lua_State *L) {
  tiny_push_server(L);
  lua_getfield(L, -1, "count");
  lua_insert(L, -2); /* count server */
  lua_pushinteger(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

static double time_tiny(tiny *runtime) {
  double began = cpu_now();
  for (int i = 0; i < CALLS; i++)
    if (tiny_call(runtime, call_count, NULL, NULL, 0) != 0) abort();
  return (cpu_now() - began) / CALLS * 1e9;
}

static tiny *open_tiny(const char *conf, bool interrupts) {
  static const tiny_library libraries[] = {{"counter", open_counter}, {NULL, NULL}};
  char why[512];
  tiny *runtime =
      tiny_new(&(tiny_options){.conf = conf, .libraries = libraries, .interrupts = interrupts}, why,
               sizeof why);
  if (!runtime) {
    fprintf(stderr, "%s\n", why);
    exit(1);
  }
  struct pollfd fd = {.fd = tiny_fd(runtime), .events = POLLIN};
  while (tiny_step(runtime) > 0 && tiny_call(runtime, open_counter, NULL, NULL, 0) != 0)
    poll(&fd, 1, tiny_timeout(runtime));
  return runtime;
}

static void close_tiny(tiny *runtime) {
  struct pollfd fd = {.fd = tiny_fd(runtime), .events = POLLIN};
  tiny_close(runtime, 0, 0, NULL, NULL);
  while (tiny_step(runtime) > 0) poll(&fd, 1, tiny_timeout(runtime));
  tiny_free(runtime);
}

static int compare(const void *a, const void *b) {
  return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}

static double median(double *list) {
  qsort(list, ROUNDS, sizeof *list, compare);
  return list[ROUNDS / 2];
}

static void report(const char *what, double ns, double bare) {
  printf("%-34s %6.0f ns a call, %5.2f million/s, %.2f times bare\n", what, ns, 1e3 / ns,
         ns / bare);
}

/* For bench/run, see bench/figures.py. */
static void print_figure(const char *who, const double *rounds) {
  printf("figure embed.call.%s ns", who);
  for (int i = 0; i < ROUNDS; i++) printf(" %.4g", rounds[i]);
  printf("\n");
}

/* calls CONF: all in the same rounds, so that the machine's noise is shared. */
int main(int argc, char **argv) {
  double bare[ROUNDS], plain[ROUNDS], watched[ROUNDS];
  lua_State *L = open_bare();
  tiny *runtime = open_tiny(argc > 1 ? argv[1] : "conf.lua", false);
  tiny *other = open_tiny(argc > 1 ? argv[1] : "conf.lua", true);
  for (int i = 0; i < ROUNDS; i++) {
    bare[i] = time_bare(L);
    plain[i] = time_tiny(runtime);
    watched[i] = time_tiny(other);
  }
  double base = median(bare);
  report("lua_pcall()", base, base);
  report("tiny_call()", median(plain), base);
  report("tiny_call(), interruptible", median(watched), base);
  print_figure("lua_pcall", bare);
  print_figure("tiny", plain);
  print_figure("tiny_interruptible", watched);
  close_tiny(other);
  close_tiny(runtime);
  lua_close(L);
  return 0;
}
