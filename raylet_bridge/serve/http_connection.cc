#include "raylet_bridge/serve/http_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/deadlines.h"

namespace netsense {

HttpConnection::HttpConnection(int fd, std::chrono::milliseconds request_limit)
    : fd_(fd), request_until_(MonotonicNow() + request_limit) {}

bool HttpConnection::Wait(short events, MonotonicTime until) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - MonotonicNow()).count();
    if (left <= 0) return false;
    pollfd wait{fd_, events, 0};
    const int ready = poll(&wait, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool HttpConnection::ReadHead() {
  std::array<char, 4096> piece;
  while (taken_.size() <= kMaxHead) {
    if (!Wait(POLLIN, request_until_)) return false;
    const ssize_t n = recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (n < 0) continue;
    const size_t seen = taken_.size() < 3 ? 0 : taken_.size() - 3;  // the end may be split
    taken_.append(piece.data(), static_cast<size_t>(n));
    if (taken_.find("\r\n\r\n", seen) != std::string::npos) return true;
  }
  return false;
}

bool HttpConnection::is_readable() const { return given_ < taken_.size() || Wait(POLLIN, request_until_); }

bool HttpConnection::is_writable() const { return Wait(POLLOUT, MonotonicNow() + deadlines::kHttpStall()); }

ssize_t HttpConnection::read(char* into, size_t size) {
  if (given_ < taken_.size()) {
    const size_t n = std::min(size, taken_.size() - given_);
    std::memcpy(into, taken_.data() + given_, n);
    given_ += n;
    return static_cast<ssize_t>(n);
  }
  return Wait(POLLIN, request_until_) ? recv(fd_, into, size, MSG_DONTWAIT) : -1;
}

ssize_t HttpConnection::write(const char* from, size_t size) {
  if (answer_until_ == MonotonicTime{}) answer_until_ = MonotonicNow() + deadlines::kHttpAnswer();
  while (true) {
    const ssize_t n = send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) return n;
    if (!Wait(POLLOUT, std::min(answer_until_, MonotonicNow() + deadlines::kHttpStall()))) return -1;
  }
}

// Who asks matters to nobody here.
void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace netsense
