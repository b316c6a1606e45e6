/* SPDX-License-Identifier: MIT
 * carry.c -- packing and unpacking in one go. */
#include "carry.h"

#include <stdlib.h>

int tiny_carry(lua_State *from, int index, lua_State *to, const tiny_carry_terms *terms, char *why,
               size_t why_size) {
  tiny_parcel parcel;
  if (tiny_carry_pack(from, index, terms, &parcel, why, why_size) != 0) return -1;
  int rc = tiny_carry_unpack(to, &parcel, terms, why, why_size);
  free(parcel.bytes);
  return rc;
}
