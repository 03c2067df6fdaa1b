// `netsense-bench serve`: answers measurements.
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/host_port.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "base/token.h"
#include "base/token_watch.h"
#include "bench/command.h"
#include "bench/measure_flags.h"
#include "engine/responder.h"

namespace netsense {
namespace {

constexpr size_t kManySessions = 1024;  // 256 streams each way, and more

struct ServeFlags {
  DoorFlags door;
  std::string listen = "127.0.0.1:18590";
  std::string netdev;
  bool json = false;
};

absl::Status Serve(DoorOptions door, const PinningOptions& pinning_options, bool as_json, const std::stop_token& stop) {
  TransportRegistry transports;
  PortGate gate({.unlimited = true});
  ResponderOptions options;
  options.door = std::move(door);
  options.door.max_handshakes = options.door.max_handshakes_per_network = kManySessions;
  options.max_stream_bytes = std::numeric_limits<uint64_t>::max();
  options.max_stream_session = std::chrono::hours(25);  // the longest of bw, and its warm-up
  options.max_sessions_per_peer = kManySessions;
  options.allow_busy_poll = true;
  options.take_orders = TakeOrders::kFromAnybody;  // who passed the door may have us measure towards others
  ASSIGN_OR_RETURN(auto pinning, Pinning::Create(pinning_options));
  options.pinning = pinning.get();
  ASSIGN_OR_RETURN(auto responder, Responder::Start(std::move(options), &transports, &gate));
  const DoorOptions& opened = responder->door_options();
  std::string address = FormatHostPort(opened.host.empty() ? "0.0.0.0" : opened.host, responder->port());
  if (as_json) {
    std::cout << nlohmann::json{{"schema_version", 1}, {"listening", address}, {"port", responder->port()}}
              << std::endl;
  } else {
    std::cout << "serving on " << address << (opened.token.empty() ? " without a token" : "") << "; Ctrl-C ends it"
              << std::endl;
  }
  while (!SleepUnlessStopped(stop, std::chrono::hours(1))) {
  }
  return absl::OkStatus();
}

int ServeUntilStopped(const ServeFlags& flags, const std::stop_token& stop) {
  auto listen = ParseHostPort(flags.listen);
  if (!listen.ok()) return Fail(listen.status());
  auto token = FindToken(flags.door.token_file);
  if (!token.ok()) return Fail(token.status());
  DoorOptions door{
      .host = listen->host, .port = listen->port, .token = RingOf(*token), .insecure = flags.door.insecure};
  const TokenWatch watch_token(*token, flags.door.token_file, door.token);
  door.netdev = flags.netdev;
  PinningOptions pinning = flags.door.pinning;
  pinning.enabled = !flags.door.no_pin;
  if (auto status = Serve(std::move(door), pinning, flags.json, stop); !status.ok()) return Fail(status);
  return kGood;
}

}  // namespace

Command AddServe(CLI::App& program) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* app = program.add_subcommand("serve", "answer measurements until Ctrl-C");
  AddDoorFlags(app, &flags->door);
  app->add_flag("--json", flags->json, "say in JSON where it serves");
  app->add_option("--listen", flags->listen, "ADDRESS:PORT; port 0 takes any free one")->capture_default_str();
  app->add_option("--interface", flags->netdev, "network device to serve by, in and out, whatever the routes say");
  return {app, [flags](const std::stop_token& stop) { return ServeUntilStopped(*flags, stop); }};
}

}  // namespace netsense
