// Gives the bridge an engine: its socket's place, its command line, and its life.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "raylet_bridge/engine_link/engine_process.h"
#include "raylet_bridge/records/choices.h"

namespace netsense {

// Makes the folder that the sockets of this user's engines lie in: $NETSENSE_RUNTIME_DIR, else /run/netsense (root),
// else $XDG_RUNTIME_DIR/netsense, else /tmp/netsense-UID. PermissionDenied: somebody else made it, or could exchange
// it.
absl::Status PrepareRuntimeDirectory();

class EngineHost {
 public:
  struct Options {
    std::string node_id;
    std::string door_address;
    uint16_t door_port = 0;
    bool any_port_if_taken = false;  // the port is only a default: take any free one rather than none
    bool has_token = false;
    Selection rails{}, cpus{};     // as the settings
    bool listen_on_rails = false;  // passed on
    std::string token_file;        // passed on; empty = the engine looks in the usual places
    bool insecure = false;         // passed on
    std::string program;           // empty = FindEngineProgram()
    std::string external_socket;   // not empty: somebody else runs the engine that lives there
    std::string log_level;         // passed on
  };

  // Adopts the engine that lives on the node's socket when it is of this version and has the wanted door (its bridge
  // was killed); replaces another; else starts one.
  static std::unique_ptr<EngineHost> Start(Options options);
  // Stops the engine, unless it is somebody else's, and removes its runtime directory.
  ~EngineHost();

  // Begins to stop, without waiting.
  void RequestStop();
  const std::string& socket_path() const { return socket_path_; }
  // Why there is no engine now, in words; empty while one runs. As EngineProcess.
  std::string problem() const { return process_ == nullptr ? "" : process_->problem(); }

 private:
  explicit EngineHost(Options options);
  std::vector<std::string> Arguments() const;
  int FindEngineToAdopt() const;

  const Options options_;
  const std::string socket_path_;
  std::unique_ptr<EngineProcess> process_;
};

}  // namespace netsense
