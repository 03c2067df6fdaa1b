// Who may have written a file, or made a folder, that we rely on: this user and root, and nobody else. Files are judged
// by the descriptor that they are then read by, so that nothing can be exchanged between the look and the use.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace netsense {

// Opens a file, or a pipe, for reading; links are followed, since a Kubernetes secret is one. Waits for nobody to open
// the other end. NotFound: it can't be opened, and why; InvalidArgument: it is neither.
absl::StatusOr<UniqueFd> OpenToRead(const std::string& path);

// What is left to read there, up to `most` bytes.
std::string ReadUpTo(size_t most, int fd);

// PermissionDenied, with what to type: the open file belongs to neither this user nor root, or everybody may write it.
absl::Status CheckTrusted(int fd, const std::string& path);
// The same of a secret: everybody may not read it, nor its group write it. The group may read it, for so are secrets
// mounted for a service (Kubernetes with fsGroup, systemd's credentials: root's, mode 0440).
absl::Status CheckSecret(int fd, const std::string& path);

// Makes a folder of mode 0700, and those above it that are missing. PermissionDenied, or Unavailable: this user can
// make nothing there, or somebody else could exchange what is there: it, or a folder above it, belongs to neither this
// user nor root, or is not root's and open to everybody (without the sticky bit, which /tmp has). Root's folders are
// taken as they are: a Kubernetes emptyDir is open to everybody of its pod. In a user namespace that does not map the
// host's root, whom it does not map may be root. `instead` ends the message: what else can be chosen.
absl::Status MakeTrustedFolder(const std::string& path, const std::string& instead);
// The same; and it is no link, it is this user's, and nobody else may enter it. True when it was not there before.
absl::StatusOr<bool> MakePrivateFolder(const std::string& path, const std::string& instead);

}  // namespace netsense
