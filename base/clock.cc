#include "base/clock.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/logging.h"

namespace netsense {
namespace {

constexpr char kVariable[] = "NETSENSE_CLOCK_OFFSET_MS";
constexpr int64_t kMost = int64_t{10} * 365 * 24 * 3600 * 1000;

int64_t FromEnvironment() {
  const char* text = std::getenv(kVariable);
  if (text == nullptr || *text == '\0') return 0;
  auto offset = ParseClockOffset(text);
  if (offset.ok()) return *offset;
  spdlog::warn("{}; it counts as 0", std::string(offset.status().message()));
  return 0;
}

}  // namespace

absl::StatusOr<int64_t> ParseClockOffset(const std::string& text) {
  int64_t offset = 0;
  if (absl::SimpleAtoi(text, &offset) && offset >= -kMost && offset <= kMost) return offset;
  return absl::InvalidArgumentError(absl::StrCat(kVariable, " must be a whole number of milliseconds from ", -kMost,
                                                 " to ", kMost, ", not '", Printable(text), "'"));
}

int64_t EpochMillis() {
  static const int64_t kOffset = FromEnvironment();
  return kOffset +
         std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
             .count();
}

}  // namespace netsense
