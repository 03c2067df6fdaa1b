// A relay on loopback between a prober and its responder's door, which can be told to let the answers through in drips.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "base/socket.h"
#include "base/unique_fd.h"
#include "tests/lab/pace.h"

namespace netsense::conformance {

// For one connection.
class Relay {
 public:
  explicit Relay(uint16_t door)
      : listener_(*ListenTcp({"127.0.0.1"}, 0)),
        port_(LocalPort(listener_.get())),
        thread_([this, door] { Run(door); }) {}
  ~Relay() { over_ = true; }

  uint16_t port() const { return port_; }
  // From now on the responder's bytes come one by one.
  void Drip() { drips_ = true; }

 private:
  static constexpr std::chrono::milliseconds kLook{10}, kPerByte{20};

  void Run(uint16_t door) {
    pollfd wait{listener_.get(), POLLIN, 0};
    while (poll(&wait, 1, static_cast<int>(kLook.count())) == 0)
      if (over_) return;
    UniqueFd prober(accept(listener_.get(), nullptr, nullptr));
    UniqueFd responder = *ConnectTcp("127.0.0.1", door, {}, pace::Soon(), {});
    std::array<char, 65536> bytes;
    while (!over_) {
      pollfd ends[] = {{prober.get(), POLLIN, 0}, {responder.get(), POLLIN, 0}};
      if (poll(ends, 2, static_cast<int>(kLook.count())) <= 0) continue;
      for (int i = 0; i < 2; ++i) {
        if (ends[i].revents == 0) continue;
        const bool drips = i == 1 && drips_;
        const ssize_t n = recv(ends[i].fd, bytes.data(), drips ? 1 : bytes.size(), 0);
        if (n <= 0 || send(ends[1 - i].fd, bytes.data(), static_cast<size_t>(n), MSG_NOSIGNAL) != n) return;
        if (drips) std::this_thread::sleep_for(pace::Scaled(kPerByte));  // the fault itself
      }
    }
  }

  const UniqueFd listener_;
  const uint16_t port_;
  std::atomic<bool> over_ = false, drips_ = false;
  std::jthread thread_;
};

}  // namespace netsense::conformance
