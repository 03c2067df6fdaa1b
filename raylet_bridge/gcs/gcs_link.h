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
  // Both sides proved the token before gRPC began (embedded_gcs.h), so that no call needs to show it. Such a link is
  // one connection: when it is over, another must be opened. One that is not proven connects again by itself.
  bool proven = false;
};

// Where Ray's environment asks for TLS: by TLS. Else the hello of the embedded GCS is tried first, and only a peer that
// answers with bytes that are not ours (Ray's GCS, which begins with its HTTP/2 settings) is gone on with in plain
// gRPC: one that is silent, or closes, is not. Codes as ProveToken() and ConnectTcp(); FailedPrecondition: a TLS file
// can't be read.
absl::StatusOr<std::shared_ptr<GcsLink>> OpenGcsLink(const std::string& address, const std::string& token,
                                                     MonotonicTime deadline);

}  // namespace netsense
