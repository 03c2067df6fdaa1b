// One node's engine: responder, scheduler, and what the control socket and the command line ask of them. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "engine/inventory/inventory.h"
#include "engine/port_gate.h"
#include "engine/prober.h"
#include "engine/responder.h"
#include "engine/scheduler.h"
#include "netsense/engine.pb.h"
#include "transports/registry.h"

namespace netsense {

struct EngineOptions {
  DoorOptions door;
  inventory::Options inventory;
  PinningOptions pinning;
  bool listen_on_rails = false;  // the door is open on every rail's addresses too
};

class Engine {
 public:
  // Codes as Door::Open; InvalidArgument also for inventory options that do not fit this machine.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(EngineOptions options);

  v1::EngineInfo Info() const;
  absl::StatusOr<v1::ApplyPlanReply> ApplyPlan(const v1::Plan& plan);
  absl::StatusOr<v1::RenewLeaseReply> RenewLease(const v1::RenewLeaseRequest& request);

  // Paths measured after `after` (0 = all), and the version to ask with next time.
  struct Update {
    v1::Snapshot snapshot;
    uint64_t version = 0;
  };
  Update Collect(uint64_t after) const;
  void WaitForNews(uint64_t after, std::chrono::milliseconds timeout, std::stop_token stop) const;

  // Since when no lease has been in force; empty while one is.
  std::optional<MonotonicTime> no_lease_since() const { return scheduler_.lease().since; }
  uint16_t door_port() const { return responder_->port(); }

 private:
  Engine(EngineOptions options, std::unique_ptr<Pinning> pinning);

  const v1::EngineLimits limits_;
  const bool listen_on_rails_;
  mutable inventory::ThisMachine machine_;
  TransportRegistry transports_;
  PortGate gate_;
  const std::unique_ptr<Pinning> pinning_;
  ProbeContext context_;
  std::unique_ptr<Responder> responder_;
  Scheduler scheduler_;
  std::atomic<uint64_t> clamped_wishes_ = 0;
};

}  // namespace netsense
