// One connection of a browser, a scraper or a stranger: its head is read, one answer is sent, and it is over. Nothing
// here blocks, and each step has a deadline over all of it: a byte a second does not live for ever.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "raylet_bridge/serve/http_server.h"

namespace netsense {

// All of it on the loop's thread, but request() while an answer is made.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  static constexpr size_t kMaxHead = 32 << 10;  // bytes of a request's line and headers
  using Socket = boost::asio::ip::tcp::socket;
  using Request = boost::beast::http::request<boost::beast::http::empty_body>;

  enum class Phase {
    kHead,    // of the request
    kMaking,  // the answer; whoever asked waits for us
    kAnswer,  // goes out
    kEnd,     // is out: what still comes is thrown away until the other side closes, so that it gets all of the answer
    kClosed,
  };
  struct Owner {
    std::function<void(HttpConnection&)> on_head;    // whole and well-formed; now Send()
    std::function<void(HttpConnection&)> on_closed;  // once
  };

  // `network`: whose connection it is, as PeerNetwork(). `owner` outlives it.
  HttpConnection(Socket socket, std::string network, std::chrono::milliseconds request_limit, const Owner& owner);

  void ReadHead();
  void Send(const HttpResponse& answer);
  void Close();

  const Request& request() const { return parser_.get(); }
  const std::string& network() const { return network_; }
  Phase phase() const { return phase_; }
  // Its other side owes us something, and we owe it nothing.
  bool is_unfinished() const { return phase_ == Phase::kHead || phase_ == Phase::kEnd; }
  MonotonicTime since() const { return since_; }      // of this phase
  MonotonicTime expires() const { return expires_; }  // then it is to be closed; while its answer is made, never

 private:
  void Enter(Phase phase, MonotonicTime expires);
  void WriteOn();
  void ThrowAway();

  Socket socket_;
  const std::string network_;
  const Owner& owner_;
  Phase phase_ = Phase::kHead;
  MonotonicTime since_;
  MonotonicTime expires_;
  boost::beast::flat_buffer taken_{kMaxHead};
  boost::beast::http::request_parser<boost::beast::http::empty_body> parser_;
  std::string head_;                         // of the answer
  std::shared_ptr<const std::string> body_;  // the same
  size_t written_ = 0;                       // of both
  size_t thrown_away_ = 0;
};

}  // namespace netsense
