// The gRPC service of engine.proto on the control socket.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/engine.h"

namespace netsense {

class ControlServer {
 public:
  // Codes as ControlSocket::Listen. `engine` outlives the server.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(const std::string& socket_path, Engine* engine);
  virtual ~ControlServer() = default;
};

// The client's side, for `netsense-engine --status`: asks the engine that lives on a socket.
absl::StatusOr<v1::EngineInfo> AskInfo(const std::string& socket_path);
absl::StatusOr<v1::Snapshot> AskSnapshot(const std::string& socket_path);

}  // namespace netsense
