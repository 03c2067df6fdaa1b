// HTTP/1.1 with a token in front of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadlines.h"

namespace netsense {

struct HttpRequest {
  std::function<std::optional<std::string>(const std::string& name)> query;   // ?name=value, decoded
  std::function<std::optional<std::string>(const std::string& name)> header;  // nothing = it was not sent
};

struct HttpResponse {
  int code = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::shared_ptr<const std::string> shared_body = {};  // sent instead of `body`, without a copy for each reader
};

struct HttpRoute {
  std::string path;                                        // whole; GET only
  bool open = false;                                       // to those without the token
  std::function<HttpResponse(const HttpRequest&)> answer;  // called on the server's threads
};

// {"result":false,"msg":reason,"data":{}}: what an error looks like, here and on Ray's dashboard.
HttpResponse RefuseHttp(int code, const std::string& reason);

// One request a connection. It must come whole within `request_limit`; URLs and single headers are bounded at 8
// KiB, all of them together at 32 KiB, bodies at 8 KiB. An answer is given up after deadlines::kHttpAnswer, or when its
// reader takes nothing for kHttpStall. The destructor closes what is under way, and waits for a route that is just
// answering.
class HttpServer {
 public:
  struct Options {
    std::string host;
    uint16_t port = 0;  // 0 = any free one
    std::string token;  // empty = anybody may ask; else `Authorization: Bearer <token>`: 401 without, 403 with another
    std::vector<HttpRoute> routes;
    std::chrono::milliseconds request_limit = deadlines::kHttpRequest();
  };

  // Unavailable: the port is taken, or the address is not this host's.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Options options);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace netsense
