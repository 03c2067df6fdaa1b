#include "raylet_bridge/gcs/tls.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

absl::Status ReadNamedFile(const char* variable, std::string& text) {
  const char* path = std::getenv(variable);
  if (path == nullptr || *path == '\0')
    return absl::FailedPreconditionError(
        absl::StrCat("RAY_USE_TLS is on, but ", variable, " is not set: name a PEM file there"));
  std::ifstream file(path, std::ios::binary);
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (text.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot read ", path, ", the PEM file that ", variable, " names"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<TlsIdentity>> TlsFromEnvironment() {
  const char* use = std::getenv("RAY_USE_TLS");
  std::string word = use == nullptr ? "" : absl::AsciiStrToLower(use);
  if (word != "1" && word != "true") return std::nullopt;
  TlsIdentity tls;
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_SERVER_CERT", tls.certificate));
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_SERVER_KEY", tls.key));
  RETURN_IF_ERROR(ReadNamedFile("RAY_TLS_CA_CERT", tls.ca));
  return tls;
}

}  // namespace netsense
