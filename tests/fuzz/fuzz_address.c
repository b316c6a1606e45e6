/* SPDX-License-Identifier: MIT
 * fuzz_address.c -- addresses: one that is understood and needs no DNS is written as it was meant. */
#include "fuzz.h"

#include "address.h"

static void check_text(const tiny_endpoint *endpoint) {
  char text[TINY_ENDPOINT_TEXT], why[320];
  tiny_address again;
  tiny_endpoint same;
  tiny_endpoint_text(endpoint, text);
  FUZZ_CHECK(tiny_address_parse(text, &again, why, sizeof why) == 0);
  FUZZ_CHECK(tiny_address_literal(&again, &same));
  FUZZ_CHECK(tiny_endpoint_same(endpoint, &same));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = fuzz_text(data, size), why[320] = "";
  tiny_address address;
  tiny_endpoint endpoint;
  if (tiny_address_parse(text, &address, why, sizeof why) != 0)
    FUZZ_CHECK(*why);
  else if (tiny_address_literal(&address, &endpoint))
    check_text(&endpoint);
  free(text);
  return 0;
}
