#include "engine/engine.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/handshake/hello.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "engine/cumulative_histogram.h"
#include "engine/inventory/to_proto.h"
#include "engine/limits.h"

namespace netsense {

namespace {

bool MayBindToDevice() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto status = BindToDevice(fd.get(), "lo");
  if (!status.ok())
    spdlog::warn("no paths by rail: {} (Linux before 5.7 wants CAP_NET_RAW)", std::string(status.message()));
  return status.ok();
}

// Without those that the door is open on anyhow.
std::vector<std::string> RailAddresses(const inventory::Node& node, const std::string& door_host) {
  std::vector<std::string> addresses;
  if (IsUnspecified(door_host)) return addresses;
  for (const inventory::Port& port : node.ports)
    if (port.rail)
      for (const std::string& address : port.addresses)
        if (address != door_host && !address.starts_with("fe80:")) addresses.push_back(address);
  return addresses;
}

// A rail is told to others only when the door is open on its address (one without an address is reached by its device).
void WithdrawRails(const DoorOptions& door, v1::EngineInfo* info) {
  const bool everywhere = IsUnspecified(door.host);
  for (v1::Port& port : *info->mutable_ports()) {
    auto open = [&](const std::string& address) {
      return address == door.host ||
             std::find(door.more_hosts.begin(), door.more_hosts.end(), address) != door.more_hosts.end();
    };
    if (!port.has_rail() || port.addresses().empty() || everywhere ||
        std::any_of(port.addresses().begin(), port.addresses().end(), open))
      continue;
    port.clear_rail();
    port.set_rail_reason("the door is not open on its addresses: rails are listened on from the engine's start");
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(EngineOptions options) {
  ResponderOptions responder_options{.door = options.door};
  ASSIGN_OR_RETURN(auto pinning, Pinning::Create(options.pinning));
  std::unique_ptr<Engine> engine(new Engine(std::move(options), std::move(pinning)));
  responder_options.pinning = engine->pinning_.get();
  ASSIGN_OR_RETURN(auto node, engine->machine_.Read());
  // Without the right to tie a socket to a device there are no paths by rail; paths by the routes need none.
  if (engine->listen_on_rails_ && MayBindToDevice())
    responder_options.door.more_hosts = RailAddresses(node, responder_options.door.host);
  responder_options.max_stream_bytes = engine->limits_.max_stream_bytes();
  ASSIGN_OR_RETURN(auto responder,
                   Responder::Start(std::move(responder_options), &engine->transports_, &engine->gate_));
  engine->responder_ = std::move(responder);
  return engine;
}

Engine::Engine(EngineOptions options, std::unique_ptr<Pinning> pinning)
    : limits_(DefaultLimits()),
      listen_on_rails_(options.listen_on_rails),
      machine_(std::move(options.inventory)),
      gate_({.share = limits_.max_bandwidth_share(), .burst_bytes = limits_.max_stream_bytes()}),
      pinning_(std::move(pinning)),
      context_{&transports_, &gate_, std::move(options.door.token), pinning_.get(), limits_.max_stream_bytes()},
      scheduler_(&context_) {}

v1::EngineInfo Engine::Info() const {
  v1::EngineInfo info;
  info.set_software_version(NETSENSE_VERSION);
  info.set_protocol_version(kProtocolVersionMax);
  info.set_incarnation(responder_->incarnation());
  info.set_node_id(responder_->node_id());
  info.set_door_address(responder_->door_options().host);
  info.set_door_port(responder_->port());
  info.set_door_requires_token(!responder_->door_options().token.empty());
  for (v1::TransportInfo& transport : transports_.Describe()) *info.add_transports() = std::move(transport);
  auto node = machine_.Read();
  if (!node.ok()) {
    // The options fitted when we started: a port that they name is gone, say. The others are still there.
    info.add_inventory_notes(std::string(node.status().message()));
    node = inventory::ThisMachine({}).Read();
    if (node.ok())
      for (inventory::Port& port : node->ports) port.rail.reset();
  }
  if (node.ok()) inventory::Describe(*node, &info);
  WithdrawRails(responder_->door_options(), &info);
  *info.mutable_limits() = limits_;
  info.set_pid(getpid());
  info.mutable_histogram_bounds_ns()->Assign(kHistogramBoundsNs.begin(), kHistogramBoundsNs.end());
  return info;
}

absl::StatusOr<v1::ApplyPlanReply> Engine::ApplyPlan(const v1::Plan& plan) {
  ASSIGN_OR_RETURN(auto clamped, ClampPlan(plan, limits_));
  for (const std::string& wish : clamped.clamped) spdlog::warn("plan beyond this engine's limits: {}", Printable(wish));
  clamped_wishes_ += clamped.clamped.size();
  responder_->SetNodeId(clamped.plan.self_node_id());
  scheduler_.Apply(clamped.plan);
  v1::ApplyPlanReply reply;
  for (std::string& wish : clamped.clamped) reply.add_clamped(std::move(wish));
  reply.set_lease_ms(clamped.plan.lease_ms());
  return reply;
}

absl::StatusOr<v1::RenewLeaseReply> Engine::RenewLease(const v1::RenewLeaseRequest& request) {
  uint32_t lease_ms = ClampLease(request.lease_ms(), limits_);
  if (!scheduler_.Renew(request.plan_id(), std::chrono::milliseconds(lease_ms)))
    return absl::NotFoundError("that plan is not in force: apply it again");
  v1::RenewLeaseReply reply;
  reply.set_lease_ms(lease_ms);
  return reply;
}

Engine::Update Engine::Collect(uint64_t after) const {
  Scheduler::Results results = scheduler_.Collect(after);
  Scheduler::Lease lease = scheduler_.lease();
  ResponderCounters responder = responder_->counters();
  Update update;
  update.version = results.version;
  v1::Snapshot& snapshot = update.snapshot;
  snapshot.set_plan_id(lease.plan_id);
  snapshot.set_lease_in_force(lease.in_force);
  snapshot.set_lease_left_ms(lease.left_ms);
  for (v1::PathResult& path : results.paths) *snapshot.add_paths() = std::move(path);
  snapshot.mutable_totals()->Assign(results.totals.begin(), results.totals.end());
  snapshot.set_taken_at_epoch_ms(EpochMillis());
  snapshot.set_incarnation(responder_->incarnation());
  v1::EngineCounters& counters = *snapshot.mutable_counters();
  counters.set_clamped_wishes(clamped_wishes_);
  counters.set_door_accepted(responder.door.accepted);
  counters.set_door_rejected(responder.door.rejected);
  counters.set_door_token_refused(responder.door.token_refused);
  counters.set_last_door_rejection(responder.door.last_rejection);
  if (!responder.door.last_rejection.empty())
    counters.set_last_door_rejection_age_ms(MillisSince(responder.door.last_rejection_at));
  counters.set_sessions_granted(responder.sessions_granted);
  counters.set_sessions_refused(responder.sessions_refused);
  counters.set_max_ping_lateness_ms(scheduler_.max_ping_lateness_ms());
  counters.set_leases_expired(lease.expired);
  return update;
}

void Engine::WaitForNews(uint64_t after, std::chrono::milliseconds timeout, std::stop_token stop) const {
  scheduler_.WaitForNews(after, timeout, stop);
}

}  // namespace netsense
