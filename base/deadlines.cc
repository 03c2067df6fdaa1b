#include "base/deadlines.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/logging.h"

namespace netsense {
namespace {

constexpr char kVariable[] = "NETSENSE_TIME_SCALE";
constexpr double kLeast = 1, kMost = 100;

double FromEnvironment() {
  const char* text = std::getenv(kVariable);
  if (text == nullptr || *text == '\0') return 1;
  auto scale = ParseTimeScale(text);
  if (scale.ok()) return *scale;
  spdlog::warn("{}; it counts as 1", std::string(scale.status().message()));
  return 1;
}

}  // namespace

absl::StatusOr<double> ParseTimeScale(const std::string& text) {
  double scale = 0;
  // Not a number compares with nothing.
  if (absl::SimpleAtod(text, &scale) && scale >= kLeast && scale <= kMost) return scale;
  return absl::InvalidArgumentError(
      absl::StrCat(kVariable, " must be a number from ", kLeast, " to ", kMost, ", not '", Printable(text), "'"));
}

double TimeScale() {
  static const double kScale = FromEnvironment();
  return kScale;
}

}  // namespace netsense
