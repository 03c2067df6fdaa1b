#include "raylet_bridge/serve/request_target.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace netsense {
namespace {

constexpr absl::string_view kScheme = "http://";

std::string Decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* hex = text.data() + i + 1;
    if (text[i] == '%' && text.size() - i > 2 && std::from_chars(hex, hex + 2, byte, 16).ptr == hex + 2) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

std::optional<std::string> RequestTarget::Value(const std::string& name) const {
  auto value = std::find_if(values.begin(), values.end(), [&name](const auto& one) { return one.first == name; });
  return value == values.end() ? std::nullopt : std::optional(value->second);
}

RequestTarget ParseRequestTarget(std::string_view target) {
  RequestTarget parsed;
  target = target.substr(0, target.find('#'));
  if (absl::StartsWithIgnoreCase({target.data(), target.size()}, kScheme)) {
    target.remove_prefix(kScheme.size());
    const size_t end = std::min(target.find_first_of("/?"), target.size());
    parsed.host = std::string(target.substr(0, end));
    target.remove_prefix(end);
  }
  const size_t mark = target.find('?');
  parsed.path = std::string(target.substr(0, mark));
  if (parsed.host && parsed.path.empty()) parsed.path.push_back('/');
  if (mark == std::string_view::npos) return parsed;
  const absl::string_view query(target.data() + mark + 1, target.size() - mark - 1);
  for (absl::string_view one : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::string_view pair(one.data(), one.size());
    const size_t equals = pair.find('=');
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    parsed.values.emplace_back(Decode(pair.substr(0, equals)), Decode(value));
  }
  return parsed;
}

}  // namespace netsense
