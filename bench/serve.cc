#include "bench/serve.h"

#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "engine/responder.h"
#include "transports/socket.h"

namespace netsense {

absl::Status Serve(DoorOptions door, const PinningOptions& pinning_options, bool as_json, std::stop_token stop) {
  TransportRegistry transports;
  PortGate gate({.unlimited = true});
  ResponderOptions options;
  options.door = std::move(door);
  options.max_stream_bytes = std::numeric_limits<uint64_t>::max();
  options.max_stream_session = std::chrono::hours(1);
  options.allow_busy_poll = true;
  auto pinning = Pinning::Create(pinning_options);
  if (!pinning.ok()) return pinning.status();
  options.pinning = pinning->get();
  auto responder = Responder::Start(std::move(options), &transports, &gate);
  if (!responder.ok()) return responder.status();
  const DoorOptions& opened = (*responder)->door_options();
  std::string address = FormatHostPort(opened.host.empty() ? "0.0.0.0" : opened.host, (*responder)->port());
  if (as_json) {
    std::cout << nlohmann::json{{"schema_version", 1}, {"listening", address}, {"port", (*responder)->port()}}
              << std::endl;
  } else {
    std::cout << "serving on " << address << (opened.token.empty() ? " without a token" : "") << "; Ctrl-C ends it"
              << std::endl;
  }
  while (!SleepUnlessStopped(stop, std::chrono::hours(1))) {
  }
  return absl::OkStatus();
}

}  // namespace netsense
