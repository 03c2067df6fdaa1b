// What a setting or a flag may be beside a plain value: a word that stands for itself, or names.
#pragma once

#include <string>
#include <vector>

namespace netsense {

// `auto`, `off`, or names with commas between them, by hand.
struct Selection {
  enum class Mode { kAuto, kOff, kByHand };
  Mode mode = Mode::kAuto;
  std::vector<std::string> names{};  // of kByHand alone

  bool is_off() const { return mode == Mode::kOff; }
  std::string Text() const;
  bool operator==(const Selection&) const = default;
};
Selection ParseSelection(const std::string& text);

// `all`, or names with commas between them.
struct TransportChoice {
  bool all = false;  // whatever some door of the cluster offers
  std::vector<std::string> names{};

  std::string Text() const;
  bool operator==(const TransportChoice&) const = default;
};
TransportChoice ParseTransportChoice(const std::string& text);

// Where a file is kept: `off` (nowhere), a path, or, where nothing is said, the usual place.
struct FilePlace {
  bool off = false;
  std::string path{};  // empty = the usual place
};
FilePlace ParseFilePlace(const std::string& text);

}  // namespace netsense
