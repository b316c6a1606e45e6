// SPDX-License-Identifier: MIT
// spdlog.cpp -- spdlog, in the caller's thread or in one of its own. spdlog MODE LINES FILE [async]
#define SPDLOG_ACTIVE_LEVEL SPDLOG_LEVEL_DEBUG
#include <memory>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

static std::shared_ptr<spdlog::logger> logger;
static bool async;

static void settle() {
  logger->flush();
  if (async) // its flush only asks for one: the pool ends when all is written
    while (spdlog::thread_pool()->queue_size() > 0) usleep(1000);
}

#define LOG(i) SPDLOG_LOGGER_INFO(logger, "request {} took {} ms for {}", i, 12, "alice")
#define OFF(i) SPDLOG_LOGGER_DEBUG(logger, "request {} took {} ms for {}", i, 12, "alice")
#define SETTLE() settle()
#include "lines.h"

int main(int argc, char **argv) {
  if (argc < 4) return 1;
  async = argc > 4;
  if (async)
    logger = spdlog::basic_logger_mt<spdlog::async_factory>("bench", argv[3]);
  else
    logger = spdlog::basic_logger_mt("bench", argv[3]);
  logger->set_pattern("<%l: %n(%P)> [%s: %#] >> %v ");
  measure(argv[1], atoi(argv[2]));
  spdlog::shutdown();
}
