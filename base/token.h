// The secret that the nodes of one cluster share. It is Ray's own token where Ray has one.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace netsense {

struct Token {
  std::string secret;  // empty = there is none
  std::string origin;  // where it was found, in words: for messages, never the secret itself
};

// Looks, in this order, at: `token_file` when not empty, NETSENSE_TOKEN_FILE, RAY_AUTH_TOKEN, the file that
// RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token. A file's first line counts, trimmed. A file that was named and can't be
// read, or is empty, is an error; that the last one is absent is not. Reads the files anew at each call.
// A file that is ours must be secret, as base/private_file.h has it, or is PermissionDenied. Ray's two are taken as
// they are, with a warning once: Ray itself writes ~/.ray/auth_token for all to read.
absl::StatusOr<Token> FindToken(const std::string& token_file);

}  // namespace netsense
