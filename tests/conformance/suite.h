// One suite for every backend. Its tests are spread over the files of this folder by topic; a backend joins with a file
// that defines ThisBackend and instantiates Conformance (tcp_conformance.cc), in a program of its own.
//
// The prober is this process, the responder another one (peer.h). No test sleeps to synchronise: where one side acts
// while the other is at work, the outcome is the same whenever it acts. Time is judged by the machine's pace
// (tests/lab/pace.h), and a test that hangs ends the program, with its name.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "tests/conformance/backend.h"
#include "tests/conformance/peer.h"
#include "tests/lab/pace.h"
#include "transports/transport.h"

namespace netsense::conformance {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

using pace::Scaled;
using pace::Stopwatch;
inline MonotonicTime Within(nanoseconds time) { return MonotonicNow() + Scaled(time); }
// Nothing that works takes so long.
inline MonotonicTime Soon() { return Within(seconds(10)); }
// Whoever is told to stop, or loses its peer, returns within this; as a Stopwatch judges it.
inline constexpr nanoseconds kPrompt = seconds(1);
// So long a test waits for what may take its time, and must come.
inline nanoseconds Settling() { return Scaled(seconds(5)); }

class Conformance : public testing::TestWithParam<Way> {
 protected:
  // Fails in CI and skips elsewhere when this machine cannot run the backend.
  void SetUp() override;

  static const Deviations& deviations() { return ThisBackend().deviations; }
  static Transport& transport();
  static Capabilities capabilities() { return transport().capabilities(); }
  static std::vector<Direction> Directions();

  v1::OpenSession PingRequest() const;
  v1::OpenSession StreamRequest(uint64_t max_stream_bytes = uint64_t{1} << 40) const;

  static absl::StatusOr<DoorConnection> Dial(const Peer& peer, const v1::OpenSession& request,
                                             const std::string& token = kToken);
  static absl::StatusOr<std::unique_ptr<Session>> TryOpen(const Peer& peer, const v1::OpenSession& request);
  // Waits for a responder that is BUSY with the session before, and for a process of the backend that has died to run
  // again, where that is declared.
  static absl::StatusOr<std::unique_ptr<Session>> OpenWhenFree(const Peer& peer, const v1::OpenSession& request);
  // The same. Throws, and so fails the test, when the session cannot be opened.
  static std::unique_ptr<Session> Open(const Peer& peer, const v1::OpenSession& request);

  static absl::StatusOr<RttSample> Ping(Session& session, uint32_t payload_bytes = 64) {
    return session.Ping({.payload_bytes = payload_bytes}, Soon(), {});
  }
  static absl::StatusOr<StreamSample> Stream(Session& session, Direction direction, uint64_t bytes) {
    return session.Stream({.direction = direction, .bytes = bytes}, Soon(), {});
  }

  // That a ping was given up whose echo the responder holds for `hold`, longer than the ping waits; or, where this
  // process stood still until then, that its own echo was there.
  static testing::AssertionResult GaveUp(const absl::StatusOr<RttSample>& sample, nanoseconds hold);

  // A session that is over says so at once, and closes at once.
  static void ExpectOver(std::unique_ptr<Session> session);
  static void ExpectClosesPromptly(std::unique_ptr<Session> session);
};

// Does something on a thread of its own a little later, while the test is inside a call. Joins when it goes.
template <typename Action>
std::jthread Later(Action action, nanoseconds delay = milliseconds(50)) {
  return std::jthread([action = std::move(action), delay] {
    std::this_thread::sleep_for(Scaled(delay));
    action();
  });
}

inline absl::StatusCode CodeOf(const absl::Status& status) { return status.code(); }
template <typename T>
absl::StatusCode CodeOf(const absl::StatusOr<T>& result) {
  return result.status().code();
}

}  // namespace netsense::conformance
