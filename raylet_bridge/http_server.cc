#include "raylet_bridge/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <openssl/crypto.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "raylet_bridge/json_fields.h"

namespace netsense {
namespace {

constexpr char kJson[] = "application/json";
constexpr size_t kThreads = 8;
constexpr std::chrono::seconds kIoTimeout{2};
constexpr size_t kMaxBody = 8 << 10;

void Refuse(httplib::Response& response, int code, const std::string& reason) {
  response.status = code;
  response.set_content(DumpJson({{"result", false}, {"msg", reason}, {"data", nlohmann::ordered_json::object()}}),
                       kJson);
}

bool SameSecret(const std::string& shown, const std::string& wanted) {
  return shown.size() == wanted.size() && CRYPTO_memcmp(shown.data(), wanted.data(), wanted.size()) == 0;
}

class Server final : public HttpServer {
 public:
  explicit Server(Options options) : options_(std::move(options)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_read_timeout(kIoTimeout);
    server_.set_write_timeout(kIoTimeout);
    server_.set_keep_alive_max_count(1);
    server_.set_payload_max_length(kMaxBody);
    // httplib's own default lets two servers share a port.
    server_.set_socket_options([](socket_t fd) {
      int on = 1;
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    server_.set_default_headers({{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}});
    server_.set_pre_routing_handler([this](const auto& request, auto& response) { return Admit(request, response); });
    server_.set_error_handler(httplib::Server::Handler([](const auto&, auto& response) {
      if (!response.body.empty()) return;
      const char* reason = response.status == 404 ? "there is only GET /api/v0/network_topology and GET /healthz"
                                                  : "the request can't be served";
      Refuse(response, response.status, reason);
    }));
    server_.Get("/api/v0/network_topology",
                [this](const auto&, auto& response) { response.set_content(options_.topology(), kJson); });
    server_.Get("/healthz", [this](const auto&, auto& response) {
      Health health = options_.health();
      response.status = health.ok ? 200 : 503;
      response.set_content(health.json, kJson);
    });
  }

  ~Server() override {
    server_.stop();
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
  httplib::Server::HandlerResponse Admit(const httplib::Request& request, httplib::Response& response) const {
    using enum httplib::Server::HandlerResponse;
    if (options_.token.empty() || !request.path.starts_with("/api")) return Unhandled;
    std::string shown = request.get_header_value("Authorization");
    if (shown.empty()) {
      response.set_header("WWW-Authenticate", "Bearer");
      Refuse(response, 401, "this cluster has a token: send it as 'Authorization: Bearer <token>'");
      return Handled;
    }
    if (SameSecret(shown, "Bearer " + options_.token)) return Unhandled;
    Refuse(response, 403, "that is not the cluster's token");
    return Handled;
  }

  const Options options_;
  httplib::Server server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Options options) {
  auto server = std::make_unique<Server>(std::move(options));
  if (auto status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace netsense
