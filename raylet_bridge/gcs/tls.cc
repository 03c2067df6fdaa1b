#include "raylet_bridge/gcs/tls.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

// A key that others know or chose is said: Ray takes it as it is, and so do we, or no node with it could be measured.
void SayWhoKnows(const std::string& path) {
  static std::mutex mutex;
  static std::set<std::string> said;
  auto file = OpenToRead(path);
  const absl::Status secret = file.ok() ? CheckSecret(file->get(), path) : absl::OkStatus();
  const std::lock_guard lock(mutex);
  if (!secret.ok() && said.insert(path).second)
    spdlog::warn("the key of TLS is no secret: {}", std::string(secret.message()));
}

absl::Status ReadNamedFile(const char* variable, std::string& text, bool is_secret = false) {
  const char* path = std::getenv(variable);
  if (path == nullptr || *path == '\0')
    return absl::FailedPreconditionError(
        absl::StrCat("RAY_USE_TLS is on, but ", variable, " is not set: name a PEM file there"));
  std::ifstream file(path, std::ios::binary);
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (text.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot read ", path, ", the PEM file that ", variable, " names"));
  if (is_secret) SayWhoKnows(path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<TlsIdentity>> TlsFromEnvironment() {
  const char* use = std::getenv("RAY_USE_TLS");
  std::string word = use == nullptr ? "" : absl::AsciiStrToLower(use);
  if (word != "1" && word != "true") return std::nullopt;
  TlsIdentity tls;
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_SERVER_CERT", tls.certificate));
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_SERVER_KEY", tls.key, true));
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_CA_CERT", tls.ca));
  return tls;
}

}  // namespace netsense
