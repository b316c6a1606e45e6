/* SPDX-License-Identifier: MIT
 * api.c -- the table of the runtime's C modules. */
#include "api.h"
#include "api_log.h"
#include "runtime.h"

const luaL_Reg tiny_core_modules[] = {
    {"tiny.core.log", luaopen_tiny_log},
    {"tiny.core.task", luaopen_tiny_task},
    {"tiny.core.runtime", luaopen_tiny_runtime},
    {NULL, NULL},
};
