// The transport that every node has: the one that is measured where nobody says another, and that tells whether a node
// is there at all.
#pragma once

namespace netsense {

inline constexpr char kPlainTransport[] = "tcp";

}  // namespace netsense
