// HTTP/1.1 with a token in front of it, for whoever comes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadlines.h"
#include "base/token_ring.h"

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

// One request a connection, GET or HEAD; a body is never read.
//
// What strangers can hold is bounded, and nobody waits for them. One loop reads all heads and sends all answers: a head
// must be whole within `request_limit` and 32 KiB; an answer is given up after deadlines::kHttpAnswer, or when its
// reader takes nothing for kHttpStall. There are at most kMaxConnections, and kMaxPerNetwork of one address (an IPv6
// /64 is one): of too many the one goes that has been unfinished, has waited or has not taken its answer
// for longest.
// Answers are made on threads of their own, and those of open routes never wait for others. At most kMaxAnswers others
// are made or sent at a time, half of them for one address; while more are wanted, one that takes longer than
// kHttpStall is given up for the next. Without a descriptor left what can't be served is dropped.
class HttpServer {
 public:
  static constexpr size_t kMaxConnections = 512;
  static constexpr size_t kMaxPerNetwork = 64;
  static constexpr size_t kMaxAnswers = 16;

  struct Options {
    std::string host;
    uint16_t port = 0;  // 0 = any free one
    TokenRing token;    // empty = anybody may ask; else `Authorization: Bearer <token>`: 401 without, 403 with another
    std::vector<HttpRoute> routes;
    std::vector<std::string> names = {};  // without a token: by which this host may be asked, as KnowsHost()
    std::chrono::milliseconds request_limit = deadlines::kHttpRequest();
  };

  // Unavailable: the port is taken, or the address is not this host's.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Options options);
  // Closes what is under way, and waits for a route that is just answering.
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace netsense
