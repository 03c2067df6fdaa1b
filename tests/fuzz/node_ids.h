// The nodes of a made-up cluster, as harnesses write them: "$0" is the id of the first.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_replace.h"

namespace netsense::fuzz {

inline constexpr size_t kNodes = 3;
inline std::string NodeId(size_t i) { return std::string(56, static_cast<char>('a' + i)); }
inline std::string WithNodeIds(std::string_view text) {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                             {{"$0", NodeId(0)}, {"$1", NodeId(1)}, {"$2", NodeId(2)}});
}

}  // namespace netsense::fuzz
