/* SPDX-License-Identifier: MIT
 * zap.h -- who may connect: ZeroMQ asks over ZAP (RFC 27), and without an answer lets in
 * whoever has a key at all. */
#ifndef TINY_FEED_ZAP_H
#define TINY_FEED_ZAP_H

#include "publisher.h"

typedef struct tiny_zap tiny_zap;

/* The domain that sockets name to be asked for. */
#define TINY_ZAP_DOMAIN "tiny"

/* Answer for the sockets of 'context' that speak CURVE: clients of 'keys', an array of public keys
 * in Z85, are let in and no others. Returns NULL when it could not be done, and then no
 * such socket may be bound. */
tiny_zap *tiny_zap_open(void *context, const tiny_publisher_parts *parts, const json_t *keys);

/* Frees itself when its handles have closed. NULL is allowed. */
void tiny_zap_close(tiny_zap *zap);

#endif
