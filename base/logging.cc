#include "base/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/deadlines.h"

namespace netsense {

absl::Status InitLogging(const std::string& program, const std::string& level) {
  std::string wanted = level;
  if (wanted.empty()) {
    const char* env = std::getenv("NETSENSE_LOG_LEVEL");
    wanted = env == nullptr ? "info" : env;
  }
  constexpr std::array<const char*, 6> kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  bool known = false;
  for (const char* name : kLevels) known = known || wanted == name;
  if (!known)
    return absl::InvalidArgumentError(
        absl::StrCat("unknown log level '", wanted, "': one of trace, debug, info, warn, error, off"));
  auto logger = spdlog::stderr_color_mt(program);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n[%P] %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(wanted));
  spdlog::set_default_logger(std::move(logger));
  (void)TimeScale();  // what is wrong with it is said now
  return absl::OkStatus();
}

std::string Printable(const std::string& text) { return absl::CHexEscape(text); }

}  // namespace netsense
