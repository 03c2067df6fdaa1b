#include "base/handshake/broken_protocol.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {
constexpr char kBrokenProtocol[] = "netsense/broken-protocol";
}  // namespace

absl::Status BrokenProtocol(std::string_view what) {
  absl::Status status = absl::UnavailableError(absl::StrCat("the peer breaks the protocol: ", std::string(what)));
  status.SetPayload(kBrokenProtocol, {});
  return status;
}

bool PeerLeft(const absl::Status& status) { return absl::IsUnavailable(status) && !status.GetPayload(kBrokenProtocol); }

}  // namespace netsense
