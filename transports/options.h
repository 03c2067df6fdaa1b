// What a person may choose about a transport. A backend declares its options (Capabilities::options); the command
// line's flags and the checks at both ends are made of that, and nobody else knows what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "netsense/session.pb.h"

namespace netsense {

struct OptionSpec {
  std::string name;   // in TransportOptions.values
  std::string flags;  // on a command line, with perftest's letters: "-x,--gid-index"
  std::string help = {};
  // A number from `least` to `most`, or one of `choices`; with neither a text.
  uint32_t least = 0, most = 0;
  std::vector<uint32_t> choices = {};

  bool is_number() const { return most > 0 || !choices.empty(); }
};

// Which packets go first, both ways: options that several backends have, or may have.
inline constexpr char kTrafficClass[] = "traffic-class";  // the DSCP and ECN byte, RFC 2474 and 3168
inline constexpr char kServiceLevel[] = "service-level";  // IBTA Vol. 1, 7.6.5
OptionSpec TrafficClassOption();

struct Capabilities;
struct DoorConnection;
// By both ends, before anything is measured: a wish is never dropped in silence. InvalidArgument names the option that
// the backend `transport` does not have, or a value that it cannot take.
absl::Status CheckOptions(const v1::TransportOptions& options, std::string_view transport,
                          const Capabilities& capabilities);

// Of options that were checked. Empty, or nothing: not given.
std::string TextOption(const v1::TransportOptions& options, const std::string& name);
std::optional<uint32_t> NumberOption(const v1::TransportOptions& options, const std::string& name);
// Gives the connection's packets the traffic class that was asked for; for backends that go over it. Codes as socket.h.
absl::Status MarkPackets(const DoorConnection& connection);

}  // namespace netsense
