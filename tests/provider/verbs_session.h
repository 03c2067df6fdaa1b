// A verbs session with both ends in this process, over a scripted fabric: 127.0.0.1 (mlx5_0) probes 127.0.0.2 (mlx5_1).
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/handshake/framing.h"
#include "base/socket.h"
#include "netsense/verbs.pb.h"
#include "tests/lab/pace.h"
#include "tests/provider/fabric/fabric.h"
#include "transports/verbs/factory.h"

namespace netsense::provider {

using std::chrono::milliseconds;

inline constexpr char kProber[] = "127.0.0.1", kResponder[] = "127.0.0.2";
using pace::Patience;
using pace::Soon;

struct Ends {
  UniqueFd prober, responder;
};

inline Ends ConnectEnds() {
  auto listener = ListenTcp({.address = kResponder}, 0);
  if (!listener.ok()) throw std::runtime_error(listener.status().ToString());
  auto prober = ConnectTcp(kResponder, LocalPort(listener->get()), {.address = kProber}, Soon(), {});
  if (!prober.ok()) throw std::runtime_error(prober.status().ToString());
  auto ready = WaitReady(listener->get(), POLLIN, Soon(), {});
  UniqueFd responder(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!ready.ok() || !responder) throw std::runtime_error("no connection on loopback");
  TuneSessionSocket(responder.get());
  return {*std::move(prober), std::move(responder)};
}

class VerbsSession : public testing::Test {
 protected:
  static v1::OpenSession Request(v1::SessionPurpose purpose, const std::string& mode = "write",
                                 v1::WaitMode wait_mode = v1::WAIT_MODE_BLOCK) {
    v1::OpenSession request;
    request.set_transport("verbs");
    request.set_purpose(purpose);
    request.set_wait_mode(wait_mode);
    request.set_max_stream_bytes(uint64_t{1} << 40);
    request.mutable_options()->set_mode(mode);
    return request;
  }
  static v1::OpenSession Pings() { return Request(v1::SESSION_PURPOSE_PING); }
  static v1::OpenSession Streams(const std::string& mode = "write") {
    return Request(v1::SESSION_PURPOSE_STREAM, mode);
  }

  // How a responder's end ended, once it has.
  using Served = std::future<absl::Status>;

  static DoorConnection Through(UniqueFd fd, const v1::OpenSession& request) {
    DoorConnection connection{.fd = std::move(fd), .peer_address = "", .seal = {}, .request = request, .grant = {}};
    connection.grant.set_session_nonce(4711);
    connection.grant.set_wait_mode(request.wait_mode());
    return connection;
  }

  Served Serve(UniqueFd fd, const v1::OpenSession& request, std::chrono::nanoseconds hold_pings = {}) {
    return std::async(std::launch::async, [this, fd = std::move(fd), request, hold_pings]() mutable {
      const auto connection = std::make_unique<DoorConnection>(Through(std::move(fd), request));
      return transport_->Serve(std::move(*connection), {.hold_pings = hold_pings}, stop_.get_token());
    });
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(UniqueFd fd, const v1::OpenSession& request) {
    return transport_->Connect(Through(std::move(fd), request), Soon(), {});
  }

  // Both ends. The responder's is served until the prober's is gone.
  absl::StatusOr<std::unique_ptr<Session>> Open(const v1::OpenSession& request,
                                                std::chrono::nanoseconds hold_pings = {}) {
    Ends ends = ConnectEnds();
    served_ = Serve(std::move(ends.responder), request, hold_pings);
    return Connect(std::move(ends.prober), request);
  }

  static absl::Status Ping(Session& session, uint32_t bytes = 64) {
    return session.Ping({.payload_bytes = bytes}, Soon(), {}).status();
  }

  // Each device was closed, and with it went all that was made in it, in the right order.
  void ExpectNothingLeft() {
    EXPECT_TRUE(fabric_.Await([](const Objects& objects) { return objects.all() == 0; }, Patience()))
        << fabric_.objects().contexts << " devices open, " << fabric_.objects().all() << " objects in all";
    EXPECT_EQ(fabric_.misuse().left_at_close, 0u);
    EXPECT_EQ(fabric_.misuse().destroyed_in_use, 0u);
    EXPECT_EQ(fabric_.misuse().bad_calls, 0u);
  }

  // Waits for work that is going on beside this thread.
  void AwaitPairs(size_t pairs) {
    ASSERT_TRUE(fabric_.Await([&](const Objects& objects) { return objects.pairs == pairs; }, Patience()));
  }

  Fabric fabric_{{RoceDevice("mlx5_0", kProber), RoceDevice("mlx5_1", kResponder)}};
  const std::unique_ptr<Transport> transport_ = MakeVerbsTransport(Fabric::Sysfs());
  std::stop_source stop_;
  Served served_;
};

}  // namespace netsense::provider
