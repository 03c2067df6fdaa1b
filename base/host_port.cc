#include "base/host_port.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "base/logging.h"

namespace netsense {

absl::StatusOr<HostPort> ParseHostPort(const std::string& text, std::string_view flag) {
  auto wrong = [&](const char* why) {
    return absl::InvalidArgumentError(fmt::format("{}{}'{}': {}; give HOST:PORT, 10.0.0.1:18590 or [fd00::1]:18590 say",
                                                  flag, flag.empty() ? "" : " ", Printable(text), why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong("the port is missing");
  HostPort result;
  result.host = text.substr(0, colon);
  if (result.host.starts_with('[')) {
    if (!result.host.ends_with(']')) return wrong("a bracket is missing");
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return wrong("an IPv6 address needs brackets");
  }
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(begin, end, result.port);
  if (error != std::errc{} || rest != end || begin == end) return wrong("the port is no number from 0 to 65535");
  return result;
}

std::string FormatHostPort(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "localhost" || host == "::1";
}

bool IsUnspecified(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

}  // namespace netsense
