#include "transports/options.h"

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/logging.h"
#include "base/socket.h"
#include "transports/transport.h"

namespace netsense {
namespace {

std::optional<uint32_t> Number(const std::string& text) {
  uint32_t number = 0;
  return absl::SimpleAtoi(text, &number) ? std::optional(number) : std::nullopt;
}

// Empty: `value` fits.
std::string WhatItIs(const OptionSpec& option, const std::string& value) {
  if (!option.is_number()) return "";
  const auto number = Number(value);
  const auto& choices = option.choices;
  if (choices.empty())
    return number && *number >= option.least && *number <= option.most
               ? ""
               : absl::StrCat("a number from ", option.least, " to ", option.most);
  return number && std::find(choices.begin(), choices.end(), *number) != choices.end()
             ? ""
             : absl::StrCat("one of ", absl::StrJoin(choices, ", "));
}

}  // namespace

OptionSpec TrafficClassOption() {
  return {.name = kTrafficClass,
          .flags = "--tclass",
          .help = "traffic class: DSCP and ECN, both ways",
          .least = 0,
          .most = 255};
}

absl::Status CheckOptions(const v1::TransportOptions& options, std::string_view transport,
                          const Capabilities& capabilities) {
  const std::string name(transport);
  const auto& modes = capabilities.modes;
  if (!options.mode().empty() && std::find(modes.begin(), modes.end(), options.mode()) == modes.end())
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has no mode '", Printable(options.mode()), "'; there is: ", absl::StrJoin(modes, ", ")));
  auto refuse = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(name, " has no option ", what));
  };
  if (capabilities.devices.empty() && !options.device().empty()) return refuse("device");
  if (capabilities.devices.empty() && !options.peer_device().empty()) return refuse("peer device");
  for (const auto& [given, value] : options.values()) {
    const auto known = std::find_if(capabilities.options.begin(), capabilities.options.end(),
                                    [&wanted = given](const OptionSpec& option) { return option.name == wanted; });
    if (known == capabilities.options.end()) return refuse(Printable(given));
    if (const std::string what = WhatItIs(*known, value); !what.empty())
      return absl::InvalidArgumentError(absl::StrCat(name, " ", given, " is ", what, ", not '", Printable(value), "'"));
  }
  if (const auto& unknown = options.GetReflection()->GetUnknownFields(options); !unknown.empty())
    return refuse(absl::StrCat("number ", unknown.field(0).number(), ", which another release sends"));
  return absl::OkStatus();
}

std::string TextOption(const v1::TransportOptions& options, const std::string& name) {
  const auto found = options.values().find(name);
  return found == options.values().end() ? "" : found->second;
}

std::optional<uint32_t> NumberOption(const v1::TransportOptions& options, const std::string& name) {
  return Number(TextOption(options, name));
}

absl::Status MarkPackets(const DoorConnection& connection) {
  return SetTrafficClass(connection.fd.get(), NumberOption(connection.request.options(), kTrafficClass).value_or(0));
}

}  // namespace netsense
