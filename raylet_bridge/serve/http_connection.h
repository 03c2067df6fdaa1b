// One connection of a browser, a scraper or a stranger. httplib bounds the time of each single byte and the length of
// each single line: here the whole is bounded, before anything is known of who asks.
#pragma once

#include <httplib.h>

#include <string>

#include "base/clock.h"

namespace netsense {

// Used by one thread. Does not own the descriptor.
class HttpConnection final : public httplib::Stream {
 public:
  static constexpr size_t kMaxHead = 32 << 10;  // bytes of a request's line and headers

  // `request_limit`: from now to the last byte of the request.
  HttpConnection(int fd, std::chrono::milliseconds request_limit);

  // Takes the request's line and headers from the network. False: they did not come whole within the limits.
  bool ReadHead();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* into, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

 private:
  bool Wait(short events, MonotonicTime until) const;

  const int fd_;
  const MonotonicTime request_until_;
  MonotonicTime answer_until_{};  // set by the first write
  std::string taken_;             // read from the network
  size_t given_ = 0;              // of it, to httplib
};

}  // namespace netsense
