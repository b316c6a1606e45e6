/* SPDX-License-Identifier: MIT
 * suite.h -- the end of each Check program's main(). */
#ifndef TINY_SUITE_H
#define TINY_SUITE_H

#include <check.h>

/* Run all of it, as loudly as CK_VERBOSITY says, and free it. Returns the exit code. */
static inline int suite_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}

#endif
