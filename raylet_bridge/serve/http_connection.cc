#include "raylet_bridge/serve/http_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <limits>
#include <utility>

#include "base/deadlines.h"

namespace netsense {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kMaxThrownAway = 64 << 10;

// Those of an answer win over these.
const std::vector<std::pair<std::string, std::string>> kHeaders = {
    {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}, {"Accept-Ranges", "none"}};

std::string HeadOf(const HttpResponse& answer, size_t body_bytes) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(answer.code));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nConnection: close\r\n", answer.code,
                                 std::string_view(reason.data(), reason.size()));
  for (const auto& [name, value] : answer.headers) head += fmt::format("{}: {}\r\n", name, value);
  for (const auto& [name, value] : kHeaders) {
    const bool given = std::any_of(answer.headers.begin(), answer.headers.end(),
                                   [&name = name](const auto& header) { return header.first == name; });
    if (!given) head += fmt::format("{}: {}\r\n", name, value);
  }
  const bool has_body = answer.code != 204 && answer.code != 304;
  if (has_body) head += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", answer.content_type, body_bytes);
  return head + "\r\n";
}

}  // namespace

HttpConnection::HttpConnection(Socket socket, std::string network, std::chrono::milliseconds request_limit,
                               const Owner& owner)
    : socket_(std::move(socket)),
      network_(std::move(network)),
      owner_(owner),
      since_(MonotonicNow()),
      expires_(since_ + request_limit) {
  parser_.header_limit(kMaxHead);
  parser_.body_limit(std::numeric_limits<uint64_t>::max());  // none is read
}

void HttpConnection::Enter(Phase phase, MonotonicTime expires) {
  phase_ = phase;
  since_ = MonotonicNow();
  expires_ = expires;
}

void HttpConnection::ReadHead() {
  http::async_read_header(socket_, taken_, parser_, [self = shared_from_this()](error_code error, size_t) {
    if (self->phase_ != Phase::kHead) return;
    if (!error) {
      self->Enter(Phase::kMaking, MonotonicTime::max());
      return self->owner_.on_head(*self);
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
      return self->Send(RefuseHttp(431, fmt::format("more than {} bytes before the request's end", kMaxHead)));
    // Of the peer's words only: a connection that broke has nobody to tell.
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
      return self->Send(RefuseHttp(400, "that is no HTTP request: " + error.message()));
    self->Close();
  });
}

void HttpConnection::Send(const HttpResponse& answer) {
  if (phase_ == Phase::kClosed) return;
  body_ = answer.shared_body != nullptr ? answer.shared_body : std::make_shared<const std::string>(answer.body);
  head_ = HeadOf(answer, body_->size());
  if (parser_.get().method() == http::verb::head || answer.code == 204 || answer.code == 304) body_.reset();
  Enter(Phase::kAnswer, MonotonicTime::max());
  WriteOn();
}

void HttpConnection::WriteOn() {
  const size_t of_body = body_ == nullptr ? 0 : body_->size();
  if (written_ == head_.size() + of_body) {
    body_.reset();
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    Enter(Phase::kEnd, MonotonicNow() + deadlines::kHttpStall());
    return ThrowAway();
  }
  expires_ = std::min(since_ + deadlines::kHttpAnswer(), MonotonicNow() + deadlines::kHttpStall());
  std::array<asio::const_buffer, 2> left{asio::buffer(head_),
                                         body_ == nullptr ? asio::const_buffer() : asio::buffer(*body_)};
  size_t gone = written_;
  for (asio::const_buffer& part : left) {
    const size_t of_part = std::min(gone, part.size());
    part += of_part;
    gone -= of_part;
  }
  socket_.async_write_some(left, [self = shared_from_this()](error_code error, size_t bytes) {
    if (error) return self->Close();
    self->written_ += bytes;
    self->WriteOn();
  });
}

void HttpConnection::ThrowAway() {
  taken_.clear();
  socket_.async_read_some(taken_.prepare(4096), [self = shared_from_this()](error_code error, size_t bytes) {
    self->thrown_away_ += bytes;
    if (error || self->thrown_away_ > kMaxThrownAway) return self->Close();
    self->ThrowAway();
  });
}

void HttpConnection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  error_code ignored;
  socket_.close(ignored);
  owner_.on_closed(*this);
}

}  // namespace netsense
