// Names of hosts, devices and files are bytes; protobuf's strings and JSON take UTF-8 alone, and a message with
// anything else in it is refused as a whole by whoever reads it.
#pragma once

#include <string>
#include <string_view>

namespace netsense {

// The text with U+FFFD for each sequence of bytes that is no UTF-8 (as JSON writers do it); unchanged where all is.
std::string ToUtf8(std::string_view text);

}  // namespace netsense
