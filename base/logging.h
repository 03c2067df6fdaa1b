// Logging for the three programs: to stderr, one line an event, level from --log-level or NETSENSE_LOG_LEVEL.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "absl/status/status.h"

namespace netsense {

// `level` is trace, debug, info, warn, error or off; empty = NETSENSE_LOG_LEVEL, else info. Call once, early in main.
absl::Status InitLogging(const std::string& program, const std::string& level);

// Names come from other hosts: control characters, and bytes that are no ASCII, become \xNN.
std::string Printable(const std::string& text);

}  // namespace netsense
