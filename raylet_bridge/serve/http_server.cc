#include "raylet_bridge/serve/http_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <exception>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/bearer.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/serve/http_connection.h"
#include "raylet_bridge/serve/known_hosts.h"
#include "raylet_bridge/serve/request_target.h"

namespace netsense {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Phase = HttpConnection::Phase;

constexpr size_t kDocumentThreads = 4;
constexpr std::chrono::milliseconds kSweep{50};
constexpr int kAhead = 64 << 10;  // bytes
constexpr std::chrono::milliseconds kPauseWithoutDescriptors{100};
constexpr std::chrono::seconds kWarnAgain{10};  // after so long without one

bool IsShortage(const error_code& error) {
  return error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
         error == asio::error::no_memory || error == boost::system::errc::too_many_files_open_in_system;
}

class Server final : public HttpServer {
 public:
  explicit Server(Options options) : options_(std::move(options)), reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  ~Server() override {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    probes_.stop();
    documents_.stop();
    probes_.join();
    documents_.join();
  }

  absl::Status Listen() {
    auto listener = ListenTcp({options_.host}, options_.port);
    if (!listener.ok())
      return absl::UnavailableError(
          fmt::format("cannot listen for HTTP on {} port {}: {}; choose another address or port by "
                      "--http-listen or --network-sense-http-port",
                      options_.host, options_.port, std::string(listener.status().message())));
    port_ = LocalPort(listener->get());
    int family = 0;
    socklen_t size = sizeof(family);
    getsockopt(listener->get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
    listener_.assign(family == AF_INET6 ? tcp::v6() : tcp::v4(), listener->Release());
    Accept();
    thread_ = std::thread([this] { loop_.run(); });
    return absl::OkStatus();
  }

  uint16_t port() const override { return port_; }

 private:
  using Connection = std::shared_ptr<HttpConnection>;
  struct Waiting {
    Connection connection;
    const HttpRoute* route;
    RequestTarget target;
  };

  void Accept() {
    listener_.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (IsShortage(error)) return DropOneAndPause();
      if (!error) Admit(std::move(socket));
      Accept();
    });
  }

  // No descriptor left: by the reserve one connection is taken off the queue and closed.
  void DropOneAndPause() {
    reserve_.Reset();
    { UniqueFd dropped(accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); }
    reserve_ = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (MonotonicNow() >= next_warning_) spdlog::warn("HTTP: no descriptor left for new connections: they are dropped");
    next_warning_ = MonotonicNow() + kWarnAgain;
    pause_.expires_after(kPauseWithoutDescriptors);
    pause_.async_wait([this](error_code) { Accept(); });
  }

  void Admit(tcp::socket socket) {
    fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    // Little is handed to the kernel ahead of what was taken, so that we see how a reader goes on.
    const int ahead = kAhead;
    setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &ahead, sizeof(ahead));
    std::string network = PeerNetwork(socket.native_handle());
    const auto of_it = std::count_if(connections_.begin(), connections_.end(),
                                     [&](const Connection& one) { return one->network() == network; });
    const bool too_many_of_it = static_cast<size_t>(of_it) >= kMaxPerNetwork;
    if (too_many_of_it || connections_.size() >= kMaxConnections) {
      const Connection oldest = OldestToGo(too_many_of_it ? network : "");
      if (oldest == nullptr) return;
      oldest->Close();
    }
    auto connection =
        std::make_shared<HttpConnection>(std::move(socket), std::move(network), options_.request_limit, owner_);
    connections_.push_back(connection);
    connection->ReadHead();
    if (connections_.size() == 1) Sweep();
  }

  // Of that network's, or all: one that owes us something, one for which nothing was done yet, one that does not read.
  Connection OldestToGo(const std::string& network) const {
    auto of_it = [&network](const Connection& one) { return network.empty() || one->network() == network; };
    for (const Connection& one : connections_)
      if (one->is_unfinished() && of_it(one)) return one;
    for (const Waiting& one : waiting_)
      if (of_it(one.connection)) return one.connection;
    // Answers that their readers do not take: the one that has been going out for longest.
    Connection longest = nullptr;
    for (const Connection& one : connections_)
      if (one->phase() == Phase::kAnswer && of_it(one) && (longest == nullptr || one->since() < longest->since()))
        longest = one;
    return longest;
  }

  // Again and again while there is a connection.
  void Sweep() {
    sweep_.cancel();
    const MonotonicTime now = MonotonicNow();
    const std::list<Connection> all = connections_;  // closing one takes it out of there
    for (const Connection& connection : all)
      if (connection->expires() <= now) connection->Close();
    MakeRoom();
    if (connections_.empty()) return;
    sweep_.expires_after(kSweep);
    sweep_.async_wait([this](error_code error) {
      if (!error) Sweep();
    });
  }

  void OnHead(HttpConnection& connection) {
    const auto& request = connection.request();
    if (request.method() != boost::beast::http::verb::get && request.method() != boost::beast::http::verb::head) {
      HttpResponse refusal = RefuseHttp(405, "only GET and HEAD are answered");
      refusal.headers = {{"Allow", "GET, HEAD"}};
      return connection.Send(refusal);
    }
    const RequestTarget target = ParseRequestTarget(TextOf(request.target()));
    const HttpRoute* route = Find(target.path);
    if (auto refusal = Refusal(request, target, route)) return connection.Send(*refusal);
    if (route->open) return Make(connection.shared_from_this(), *route, target, probes_);
    waiting_.push_back({connection.shared_from_this(), route, target});
    MakeRoom();
    TakeWaiting();
  }

  static std::string TextOf(boost::beast::string_view text) { return {text.data(), text.size()}; }

  // Why that request is not answered. A path that does not exist is told to those only who show the token.
  std::optional<HttpResponse> Refusal(const HttpConnection::Request& request, const RequestTarget& target,
                                      const HttpRoute* route) const {
    using boost::beast::http::field;
    if (options_.token.empty()) {
      const std::string host = target.host.value_or(TextOf(request[field::host]));
      // No browser sends a target of that kind to a server, nor names a user in it: what is odd is not ours.
      const bool is_odd = target.host && (target.host->empty() || target.host->find('@') != std::string::npos);
      if (is_odd || !KnowsHost(host, options_.names))
        return RefuseHttp(421,
                          fmt::format("this host is not known as '{}': ask by its address or its own name, or give "
                                      "the bridge that name by --http-name",
                                      Printable(host)));
    } else if (route == nullptr || !route->open) {
      const std::string shown = TextOf(request[field::authorization]);
      if (shown.empty()) {
        HttpResponse refusal = RefuseHttp(401, "this cluster has a token: send it as 'Authorization: Bearer <token>'");
        refusal.headers = {{"WWW-Authenticate", "Bearer"}};
        return refusal;
      }
      if (!ShowsToken(shown, options_.token)) return RefuseHttp(403, "that is not the cluster's token");
    }
    if (route != nullptr) return std::nullopt;
    std::string paths;
    for (const HttpRoute& one : options_.routes) paths += (paths.empty() ? "" : ", ") + one.path;
    return RefuseHttp(404, "there is only GET " + paths);
  }

  const HttpRoute* Find(const std::string& path) const {
    auto route = std::find_if(options_.routes.begin(), options_.routes.end(),
                              [&path](const HttpRoute& candidate) { return candidate.path == path; });
    return route == options_.routes.end() ? nullptr : &*route;
  }

  // While others wait: an answer that has been going out for too long makes room.
  void MakeRoom() {
    if (waiting_.empty() || answering_.size() < kMaxAnswers) return;
    auto longest = std::find_if(answering_.begin(), answering_.end(), [](const Connection& one) {
      return one->phase() == Phase::kAnswer && MonotonicNow() - one->since() > deadlines::kHttpStall();
    });
    if (longest != answering_.end()) Connection(*longest)->Close();
  }

  size_t AnswersFor(const std::string& network) const {
    return static_cast<size_t>(std::count_if(answering_.begin(), answering_.end(),
                                             [&network](const Connection& one) { return one->network() == network; }));
  }

  // Those first for whose network the fewest answers are under way; no network has more than half of the places.
  void TakeWaiting() {
    while (!waiting_.empty() && answering_.size() < kMaxAnswers) {
      auto next = std::min_element(waiting_.begin(), waiting_.end(), [this](const Waiting& a, const Waiting& b) {
        return AnswersFor(a.connection->network()) < AnswersFor(b.connection->network());
      });
      if (AnswersFor(next->connection->network()) >= kMaxAnswers / 2) return;
      const Waiting taken = std::move(*next);
      waiting_.erase(next);
      answering_.push_back(taken.connection);
      Make(taken.connection, *taken.route, taken.target, documents_);
    }
  }

  void Make(Connection connection, const HttpRoute& route, RequestTarget target, asio::thread_pool& threads) {
    asio::post(threads, [this, connection = std::move(connection), &route, target = std::move(target)] {
      auto header = [&connection](const std::string& name) {
        const auto found = connection->request().find(name);
        return found == connection->request().end() ? std::nullopt : std::optional(TextOf(found->value()));
      };
      HttpResponse answer;
      try {
        answer = route.answer({[&target](const std::string& name) { return target.Value(name); }, header});
      } catch (const std::exception& error) {
        answer = RefuseHttp(500, fmt::format("no answer could be made: {}", error.what()));
      }
      asio::post(loop_, [connection, answer = std::move(answer)] { connection->Send(answer); });
    });
  }

  void OnClosed(HttpConnection& connection) {
    auto is_it = [&connection](const Connection& one) { return one.get() == &connection; };
    std::erase_if(waiting_, [&is_it](const Waiting& one) { return is_it(one.connection); });
    std::erase_if(answering_, is_it);
    std::erase_if(connections_, is_it);
    TakeWaiting();
  }

  const Options options_;
  const HttpConnection::Owner owner_{[this](auto& connection) { OnHead(connection); },
                                     [this](auto& connection) { OnClosed(connection); }};
  UniqueFd reserve_;
  uint16_t port_ = 0;
  asio::io_context loop_{1};  // outlives what is in it
  tcp::acceptor listener_{loop_};
  asio::steady_timer sweep_{loop_}, pause_{loop_};
  MonotonicTime next_warning_{};
  std::list<Connection> connections_;  // the oldest first
  std::deque<Waiting> waiting_;        // for a place among those that are answered
  std::list<Connection> answering_;    // by documents_; the oldest first
  asio::thread_pool probes_{1};        // answers of open routes
  asio::thread_pool documents_{kDocumentThreads};
  std::thread thread_;  // runs the loop
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
