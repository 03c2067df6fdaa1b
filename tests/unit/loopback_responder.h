// A real responder on loopback, and a prober's session with it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "engine/measure.h"
#include "engine/responder.h"
#include "tests/lab/pace.h"
#include "transports/door/dial.h"

namespace netsense {

struct LoopbackResponder {
  explicit LoopbackResponder(std::string token = "", ResponderOptions options = {},
                             PortGate::Options gate_options = {.unlimited = true})
      : gate(gate_options), secret(std::move(token)) {
    options.door.token = secret;
    auto started = Responder::Start(std::move(options), &transports, &gate);
    if (!started.ok()) throw std::runtime_error(started.status().ToString());
    responder = *std::move(started);
  }

  absl::StatusOr<DoorConnection> Dial(v1::OpenSession request, const std::string& token) const {
    return DialDoor({"127.0.0.1", responder->port(), {}, token}, request, pace::Soon(), {});
  }

  MeasureTarget target() const {
    MeasureTarget target;
    target.host = "127.0.0.1";
    target.port = responder->port();
    return target;
  }

  static v1::OpenSession PingRequest() {
    v1::OpenSession request;
    request.set_transport("tcp");
    request.set_purpose(v1::SESSION_PURPOSE_PING);
    return request;
  }
  static v1::OpenSession StreamRequest(uint64_t bytes) {
    v1::OpenSession request = PingRequest();
    request.set_purpose(v1::SESSION_PURPOSE_STREAM);
    request.set_max_stream_bytes(bytes);
    return request;
  }

  absl::StatusOr<std::unique_ptr<Session>> Open(const v1::OpenSession& request) const {
    auto connection = Dial(request, secret);
    if (!connection.ok()) return connection.status();
    return (*transports.Find("tcp"))->Connect(*std::move(connection), pace::Soon(), {});
  }

  TransportRegistry transports;
  PortGate gate;
  std::string secret;
  std::unique_ptr<Responder> responder;
};

inline MonotonicTime In(std::chrono::nanoseconds time) { return MonotonicNow() + time; }

}  // namespace netsense
