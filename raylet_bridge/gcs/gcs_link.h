// A way to a GCS, with the stubs to call it by.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "ray/gcs.grpc.pb.h"

namespace netsense {

struct GcsLink {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<ray::rpc::NodeInfoGcsService::Stub> nodes;
  std::unique_ptr<ray::rpc::InternalKVGcsService::Stub> kv;
  // Both sides proved the token before gRPC began (embedded_gcs.h). Such a link is one connection: when it is over,
  // another must be opened. One that is not proven connects again by itself.
  bool proven = false;
  bool shows_token = true;  // with each call
};

// Where Ray's environment asks for TLS: by TLS. Else the hello of the embedded GCS is tried first, and only a peer that
// begins with HTTP/2's settings (Ray's GCS; an embedded one of an older release) is gone on with in plain gRPC, which
// shows it the token, and that only where `allow_plain`. Codes as ProveToken() and ConnectTcp(); FailedPrecondition: a
// TLS file can't be read.
absl::StatusOr<std::shared_ptr<GcsLink>> OpenGcsLink(const std::string& address, const std::string& token,
                                                     bool allow_plain, MonotonicTime deadline);

}  // namespace netsense
