#include "raylet_bridge/records/choices.h"

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace netsense {
namespace {

constexpr char kAuto[] = "auto", kOff[] = "off", kAll[] = "all";

}  // namespace

std::string Selection::Text() const {
  return mode == Mode::kAuto ? kAuto : mode == Mode::kOff ? kOff : absl::StrJoin(names, ",");
}

Selection ParseSelection(const std::string& text) {
  if (text == kAuto) return {Selection::Mode::kAuto};
  if (text == kOff) return {Selection::Mode::kOff};
  return {Selection::Mode::kByHand, absl::StrSplit(text, ',')};
}

std::string TransportChoice::Text() const { return all ? kAll : absl::StrJoin(names, ","); }

TransportChoice ParseTransportChoice(const std::string& text) {
  if (text == kAll) return {.all = true};
  return {.names = absl::StrSplit(text, ',')};
}

FilePlace ParseFilePlace(const std::string& text) {
  if (text == kOff) return {.off = true};
  return {.path = text};
}

}  // namespace netsense
