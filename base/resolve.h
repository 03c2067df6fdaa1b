// The addresses of a host's name, within a deadline.
//
// The system's resolver is asked, so that a name means here what it means to every other program of the host
// (/etc/hosts, nsswitch.conf: DNS, mDNS, LDAP). It has no deadline and cannot be stopped. So it works on a thread that
// is left behind when nobody waits for it any more: that ends when the resolver gives up, or with the process, which
// does not wait for it. At most 64 work at a time.
#pragma once

#include <netdb.h>

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace netsense {

struct FreeAddrInfo {
  void operator()(addrinfo* info) const { freeaddrinfo(info); }
};
using AddrInfo = std::unique_ptr<addrinfo, FreeAddrInfo>;

// For TCP; never null. A numeric address takes no time and no thread. Unavailable: no such host; DeadlineExceeded,
// Cancelled. Thread-safe.
absl::StatusOr<AddrInfo> ResolveHost(const std::string& host, uint16_t port, MonotonicTime deadline,
                                     std::stop_token stop);
// Numeric, to be listened on or bound to; empty = all. InvalidArgument: it is no address.
absl::StatusOr<AddrInfo> NumericAddress(const std::string& host, uint16_t port);
// As text: the first that there is.
std::string AddressText(const addrinfo& info);

}  // namespace netsense
