/* SPDX-License-Identifier: MIT
 * fuzz_carry.c -- what a checkpoint holds, a packed Lua value: any bytes are unpacked or refused, and
 * what came out of them can be packed and unpacked again. Little memory, as a damaged size asks for much. */
#include "fuzz.h"

#include "carry.h"

#include <lauxlib.h>
#include <lualib.h>

enum { MEMORY = 16 << 20 };

static size_t live;

static void *scarce(void *data, void *old, size_t old_size, size_t size) {
  (void)data;
  if (!old) old_size = 0;
  if (size > old_size && live + size - old_size > MEMORY) return NULL;
  void *fresh = size > 0 ? realloc(old, size) : NULL;
  if (size == 0) free(old);
  if (size == 0 || fresh) live += size - old_size;
  return fresh;
}

static const tiny_carry_terms terms = {.name = "context"};

static void check_again(lua_State *L) {
  char why[512] = "";
  tiny_parcel parcel;
  if (tiny_carry_pack(L, -1, &terms, &parcel, why, sizeof why) != 0) {
    FUZZ_CHECK(strstr(why, "memory") != NULL);
    return;
  }
  if (tiny_carry_unpack(L, &parcel, &terms, why, sizeof why) != 0)
    FUZZ_CHECK(strstr(why, "memory") != NULL);
  else
    lua_pop(L, 1);
  free(parcel.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char why[512] = "", *bytes = fuzz_copy(data, size);
  lua_State *L = lua_newstate(scarce, NULL);
  FUZZ_CHECK(L != NULL);
  luaL_openlibs(L);
  tiny_parcel parcel = {bytes, size};
  if (tiny_carry_unpack(L, &parcel, &terms, why, sizeof why) == 0) {
    FUZZ_CHECK(lua_gettop(L) == 1);
    check_again(L);
    lua_pop(L, 1);
  } else {
    FUZZ_CHECK(*why);
  }
  FUZZ_CHECK(lua_gettop(L) == 0);
  lua_close(L);
  FUZZ_CHECK(live == 0);
  free(bytes);
  return 0;
}
