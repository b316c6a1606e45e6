/* SPDX-License-Identifier: MIT
 * api.c -- the table of the runtime's C modules. */
#include "api.h"
#include "api_log.h"
#include "executor.h"
#include "limit.h"
#include "runtime.h"
#include "worker.h"

const luaL_Reg tiny_core_modules[] = {
    {"tiny.core.log", luaopen_tiny_log},           {"tiny.core.task", luaopen_tiny_task},
    {"tiny.core.gate", luaopen_tiny_gate},         {"tiny.core.limit", luaopen_tiny_limit},
    {"tiny.core.timer", luaopen_tiny_timer},       {"tiny.core.runtime", luaopen_tiny_runtime},
    {"tiny.core.address", luaopen_tiny_address},   {"tiny.core.stream", luaopen_tiny_stream},
    {"tiny.core.acceptor", luaopen_tiny_acceptor}, {"tiny.core.exec", luaopen_tiny_exec},
    {"tiny.core.udp", luaopen_tiny_udp},           {"tiny.core.http", luaopen_tiny_http},
    {"tiny.core.fetch", luaopen_tiny_fetch},       {"tiny.core.zmq", luaopen_tiny_zmq},
    {"tiny.core.worker", luaopen_tiny_worker},     {"tiny.core.saver", luaopen_tiny_saver},
    {"tiny.core.tls", luaopen_tiny_tls},           {NULL, NULL},
};
