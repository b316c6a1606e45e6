/* SPDX-License-Identifier: MIT
 * parcel.h -- the bytes of a packed value, which carry_pack.c writes and carry_unpack.c reads:
 *
 *   head | the value | late tables, each its number (uint32_t), shape and content
 *
 * Tables and userdata are objects, numbered in the order in which they are met. */
#ifndef TINY_PARCEL_H
#define TINY_PARCEL_H

#include <stdint.h>

#define PARCEL_MAGIC 0x31504354u /* "TCP1" */

typedef struct parcel_head {
  uint32_t magic, objects;
} parcel_head;

/* How many values a table's list 1..n has, and how many pairs follow after these. */
typedef struct parcel_shape {
  uint32_t listed, keyed;
} parcel_shape;

/* Each value is one of these bytes and what the comment says. */
enum parcel_tag {
  PARCEL_NIL,
  PARCEL_FALSE,
  PARCEL_TRUE,
  PARCEL_NULL,   /* cjson.null */
  PARCEL_NUMBER, /* double */
  PARCEL_INT64,  /* int64_t */
  PARCEL_UINT64, /* uint64_t */
  PARCEL_TEXT,   /* uint16_t slot, uint32_t size, bytes: remember it in that slot */
  PARCEL_AGAIN,  /* uint16_t slot: the text that was last put there */
  PARCEL_TABLE,  /* a new object: shape and content */
  PARCEL_LATE,   /* a new object: a table whose content comes later */
  PARCEL_TAKEN,  /* a new object: void * that stands for a userdata */
  PARCEL_OBJECT  /* uint32_t: an object that was met before */
};

enum {
  /* Texts are remembered in few slots, so that a record's field names are made once and not
   * for each record. Keys have slots of their own, out of which values do not push them. */
  PARCEL_SLOTS = 2048,
  PARCEL_KEY_SLOTS = 1024,
  /* Tables nest by recursion so deep; what is deeper, or a key, comes late. */
  PARCEL_DEPTH = 200
};

#endif
