// The Unix socket that the engine is driven through: its directory (0700, ours), its lock (one engine a socket), its
// accept loop. gRPC gets a connection only after its peer's uid was checked and the first bytes are HTTP/2's, so that
// no stranger and no garbage reach it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace netsense {

class ControlSocket {
 public:
  // A connected non-blocking descriptor of a process of our own user, or of root. Called on the socket's own thread.
  using OnConnection = std::function<void(UniqueFd)>;

  // Creates the directory of `path` when absent. AlreadyExists: another engine lives there; PermissionDenied: the
  // directory is not ours alone, or somebody else could exchange it (base/private_file.h); InvalidArgument: the path is
  // too long for a Unix socket.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> Listen(const std::string& path, OnConnection on_connection);
  // Removes the socket, its lock, and the directory if Listen made it.
  ~ControlSocket();

 private:
  ControlSocket(std::string path, std::string own_directory, UniqueFd lock, UniqueFd listener,
                OnConnection on_connection);
  void Run();

  const std::string path_;
  const std::string own_directory_;  // empty: it was there before
  const UniqueFd lock_;
  const UniqueFd listener_;
  const UniqueFd quit_;
  const OnConnection on_connection_;
  std::thread thread_;
};

}  // namespace netsense
