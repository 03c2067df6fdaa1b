#include "raylet_bridge/serve/known_hosts.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"

namespace netsense {
namespace {

// "Node-1.:18591" is "node-1", "[::1]:18591" is "::1".
std::string NameOf(std::string_view host) {
  const size_t colon = host.rfind(':');  // of a port, or one in the brackets
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    const bool is_whole = end != std::string_view::npos && (end + 1 == host.size() || end + 1 == colon);
    return is_whole ? std::string(host.substr(1, end - 1)) : "";
  }
  host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  return absl::AsciiStrToLower(absl::string_view(host.data(), host.size()));
}

bool IsNumeric(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace

bool KnowsHost(std::string_view host_header, const std::vector<std::string>& names) {
  if (host_header.empty()) return true;
  const std::string name = NameOf(host_header);
  if (IsNumeric(name) || name == "localhost") return true;
  char own[256] = {};
  gethostname(own, sizeof(own) - 1);
  return name == NameOf(own) || std::any_of(names.begin(), names.end(), [&name](const std::string& known) {
           return known == "*" || NameOf(known) == name;
         });
}

}  // namespace netsense
