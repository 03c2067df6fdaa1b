// The secret that the nodes of one cluster share. It is Ray's own token where Ray has one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

struct Token {
  std::string secret;     // empty = there is none
  std::string origin;     // where it was found, in words: for messages, never the secret itself
  std::string path = {};  // of the file, where it is one
  bool is_rays = false;   // from where Ray looks for it

  // The one that was changed for it (`netsense-bridge token rotate`), from PATH.previous.
  struct Before {
    std::string secret;
    int64_t until_epoch_ms = 0;  // so long it is still taken
  };
  std::optional<Before> before = {};
};

// Looks, in this order, at: `token_file` when not empty, NETSENSE_TOKEN_FILE, RAY_AUTH_TOKEN, the file that
// RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token. A file's first line counts, trimmed. A file that was named and can't be
// read, or is empty, is an error; that the last one is absent is not. Reads the files anew at each call.
// A file that is ours must be secret, as base/private_file.h has it, or is PermissionDenied. Ray's two are taken as
// they are, with a warning once: Ray itself writes ~/.ray/auth_token for all to read.
absl::StatusOr<Token> FindToken(const std::string& token_file);

// Beside a token's file: the token before it, and in the next line until when it is taken, in milliseconds of the
// epoch.
inline constexpr char kBeforeSuffix[] = ".previous";

}  // namespace netsense
