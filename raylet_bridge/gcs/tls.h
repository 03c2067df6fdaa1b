// TLS between netsense and a GCS: mutual, with the PEM files that Ray's own environment variables name.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

// PEM texts. Client and server show the same certificate and key, and each checks the other's against `ca`.
struct TlsIdentity {
  std::string certificate, key, ca;
};

// Nothing unless RAY_USE_TLS is 1 or true. Then RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY and RAY_TLS_CA_CERT must name
// files that can be read: FailedPrecondition otherwise. Reads the files anew at each call. A key that others may read,
// or that is somebody else's, is taken as Ray takes it, and said in the log, once.
absl::StatusOr<std::optional<TlsIdentity>> TlsFromEnvironment();

}  // namespace netsense
