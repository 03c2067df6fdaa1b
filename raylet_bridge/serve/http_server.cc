#include "raylet_bridge/serve/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "base/status_macros.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/serve/http_connection.h"

namespace netsense {
namespace {

constexpr size_t kThreads = 8;
constexpr size_t kMaxBody = 8 << 10;
constexpr size_t kPiece = 256 << 10;  // of a shared body, written at once

void Send(const HttpResponse& answer, httplib::Response& response) {
  response.status = answer.code;
  for (const auto& [name, value] : answer.headers) {
    response.headers.erase(name);  // it goes before the server's own
    response.set_header(name, value);
  }
  if (answer.shared_body == nullptr) {
    response.set_content(answer.body, answer.content_type);
    return;
  }
  response.set_content_provider(answer.shared_body->size(), answer.content_type,
                                [body = answer.shared_body](size_t offset, size_t length, httplib::DataSink& sink) {
                                  return sink.write(body->data() + offset, std::min(length, kPiece));
                                });
}

bool SameSecret(const std::string& shown, const std::string& wanted) {
  return shown.size() == wanted.size() && CRYPTO_memcmp(shown.data(), wanted.data(), wanted.size()) == 0;
}

// httplib's server with bounded connections, and an end that waits for nobody.
class BoundedServer final : public httplib::Server {
 public:
  explicit BoundedServer(std::chrono::milliseconds request_limit) : request_limit_(request_limit) {}
  // From now on connections are closed, those that are served too.
  void Abandon() {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    for (int fd : served_) shutdown(fd, SHUT_RDWR);
  }

 private:
  bool process_and_close_socket(socket_t fd) override {
    bool done = false;
    if (Enter(fd)) {
      HttpConnection connection(fd, request_limit_);
      bool closed = false;
      done = connection.ReadHead() && process_request(connection, true, closed, nullptr);
      std::lock_guard lock(mutex_);
      served_.erase(fd);
    }
    shutdown(fd, SHUT_RDWR);
    close(fd);
    return done;
  }

  bool Enter(int fd) {
    std::lock_guard lock(mutex_);
    return !abandoned_ && served_.insert(fd).second;
  }

  const std::chrono::milliseconds request_limit_;
  std::mutex mutex_;
  bool abandoned_ = false;
  std::set<int> served_;
};

class Server final : public HttpServer {
 public:
  explicit Server(Options options) : options_(std::move(options)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_payload_max_length(kMaxBody);
    // httplib's own default lets two servers share a port.
    server_.set_socket_options([](socket_t fd) {
      int on = 1;
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    server_.set_default_headers(
        {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}, {"Accept-Ranges", "none"}});
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      // Documents are sent whole: a thousand ranges of one would be a thousand documents.
      const_cast<httplib::Request&>(request).ranges.clear();
      return Admit(request, response);
    });
    server_.set_error_handler(httplib::Server::Handler([](const auto&, auto& response) {
      if (response.body.empty()) Send(RefuseHttp(response.status, "the request can't be served"), response);
    }));
    server_.Get(".*", [this](const auto& request, auto& response) { Send(AnswerTo(request), response); });
  }

  ~Server() override {
    server_.stop();
    server_.Abandon();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen() {
    errno = 0;
    int port = options_.port;
    bool bound = true;
    if (port == 0) {
      port = server_.bind_to_any_port(options_.host);
      bound = port > 0;
    } else {
      bound = server_.bind_to_port(options_.host, port);
    }
    if (!bound)
      return absl::UnavailableError(
          fmt::format("cannot listen for HTTP on {} port {}: {}; choose another address or port by "
                      "--http-listen or --network-sense-http-port",
                      options_.host, options_.port, strerror(errno)));
    port_ = static_cast<uint16_t>(port);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // stop() does nothing to a server that does not run yet.
    while (!server_.is_running()) std::this_thread::yield();
    return absl::OkStatus();
  }

  uint16_t port() const override { return port_; }

 private:
  // A path that does not exist is told to those only who show the token.
  httplib::Server::HandlerResponse Admit(const httplib::Request& request, httplib::Response& response) const {
    using enum httplib::Server::HandlerResponse;
    const HttpRoute* route = Find(request.path);
    const bool open = route != nullptr && route->open;
    if (options_.token.empty() || open) return Unhandled;
    std::string shown = request.get_header_value("Authorization");
    if (shown.empty()) {
      response.set_header("WWW-Authenticate", "Bearer");
      Send(RefuseHttp(401, "this cluster has a token: send it as 'Authorization: Bearer <token>'"), response);
      return Handled;
    }
    if (SameSecret(shown, "Bearer " + options_.token)) return Unhandled;
    Send(RefuseHttp(403, "that is not the cluster's token"), response);
    return Handled;
  }

  const HttpRoute* Find(const std::string& path) const {
    auto route = std::find_if(options_.routes.begin(), options_.routes.end(),
                              [&path](const HttpRoute& candidate) { return candidate.path == path; });
    return route == options_.routes.end() ? nullptr : &*route;
  }

  HttpResponse AnswerTo(const httplib::Request& request) const {
    if (const HttpRoute* route = Find(request.path)) {
      auto query = [&request](const std::string& name) {
        return request.has_param(name) ? std::optional(request.get_param_value(name)) : std::nullopt;
      };
      auto header = [&request](const std::string& name) {
        return request.has_header(name) ? std::optional(request.get_header_value(name)) : std::nullopt;
      };
      return route->answer({query, header});
    }
    std::string paths;
    for (const HttpRoute& route : options_.routes) paths += (paths.empty() ? "" : ", ") + route.path;
    return RefuseHttp(404, "there is only GET " + paths);
  }

  const Options options_;
  BoundedServer server_{options_.request_limit};
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace

HttpResponse RefuseHttp(int code, const std::string& reason) {
  return {.code = code,
          .body = DumpJson({{"result", false}, {"msg", reason}, {"data", nlohmann::ordered_json::object()}})};
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Options options) {
  auto server = std::make_unique<Server>(std::move(options));
  RETURN_IF_ERROR(server->Listen());
  return server;
}

}  // namespace netsense
