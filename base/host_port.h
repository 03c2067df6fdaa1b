// HOST:PORT as users write it, and what an address says by itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace netsense {

struct HostPort {
  std::string host;  // an IPv6 address without its brackets
  uint16_t port = 0;
};
// "host:port", "[v6]:port"; the host may be empty, which is all addresses of ours. InvalidArgument says what is wrong,
// and names `flag`, if given.
absl::StatusOr<HostPort> ParseHostPort(const std::string& text, std::string_view flag = {});
// With brackets where they are needed.
std::string FormatHostPort(const std::string& host, uint16_t port);

// True for numeric addresses in 127.0.0.0/8 and ::1, and for "localhost". A name may be anybody's, 127.example.org too.
bool IsLoopback(const std::string& host);
// All addresses of this host, to listen on (RFC 4291, 2.5.2): 0.0.0.0, ::, or empty.
bool IsUnspecified(const std::string& host);

}  // namespace netsense
