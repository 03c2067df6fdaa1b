// What a request asks for: "/api/v0/network_edge?src=a%20b&dst=c", taken apart, or all of that behind
// "http://host:port" (RFC 9112, 3.2.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netsense {

struct RequestTarget {
  std::optional<std::string> host;                          // of the latter; it counts, and not the header
  std::string path;                                         // as it came
  std::vector<std::pair<std::string, std::string>> values;  // decoded (application/x-www-form-urlencoded), in order

  // The first of that name.
  std::optional<std::string> Value(const std::string& name) const;
};

// Takes any text: an escape that is none stays as it is, a name without a value has an empty one.
RequestTarget ParseRequestTarget(std::string_view target);

}  // namespace netsense
