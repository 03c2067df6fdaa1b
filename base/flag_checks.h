// What a flag's number must be, in words. CLI11's own checks of fractions print the whole range of a double, and take
// "nan".
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace netsense {

// From `low` to `high`, both included.
inline CLI::Validator NumberBetween(double low, double high) {
  auto check = [low, high](const std::string& text) -> std::string {
    double value = 0;
    if (absl::SimpleAtod(text, &value) && value >= low && value <= high) return "";
    return absl::StrCat("'", text, "' is no number from ", low, " to ", high);
  };
  return CLI::Validator(check, absl::StrCat("NUMBER from ", low, " to ", high));
}

inline CLI::Validator NumberAboveZero() {
  auto check = [](const std::string& text) -> std::string {
    double value = 0;
    if (absl::SimpleAtod(text, &value) && value > 0 && std::isfinite(value)) return "";
    return absl::StrCat("'", text, "' is no number above 0");
  };
  return CLI::Validator(check, "NUMBER above 0");
}

}  // namespace netsense
