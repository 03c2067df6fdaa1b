// Answers other nodes' probes: the door, admission control, and a thread for each session.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadlines.h"
#include "engine/orders/serving.h"
#include "engine/pinning.h"
#include "engine/port_gate.h"
#include "engine/worker_pool.h"
#include "transports/door/door.h"
#include "transports/registry.h"

namespace netsense {

// Whose orders to measure towards others a responder takes (remote_probe.h says why not everybody's).
enum class TakeOrders {
  kFromTrusted,  // who proved the token; without one, who comes in by a door on loopback
  kFromAnybody,  // who passed the door: a person's own choice
};

struct ResponderOptions {
  DoorOptions door;
  uint64_t max_stream_bytes = 64 << 20;  // of one session
  std::chrono::nanoseconds max_stream_session = deadlines::kStreamSession();
  std::chrono::nanoseconds stream_session_idle = deadlines::kStreamSessionIdle();
  bool allow_busy_poll = false;  // spin where a prober asks for it
  size_t max_sessions = 8192;    // ten rails of 800 peers
  size_t max_sessions_per_peer = 64;
  std::chrono::nanoseconds hold_pings{};  // as in ServeLimits
  std::chrono::milliseconds keep_idle_threads = WorkerPool::kKeepIdle;
  TakeOrders take_orders = TakeOrders::kFromTrusted;
  const Pinning* pinning = nullptr;  // outlives the responder; null = threads stay where they are
};

struct ResponderCounters {
  DoorCounters door;
  uint64_t sessions_granted = 0;
  uint64_t sessions_refused = 0;
};

// Thread-safe.
class Responder {
 public:
  // `transports` and `gate` outlive the responder. Codes as Door::Open.
  static absl::StatusOr<std::unique_ptr<Responder>> Start(ResponderOptions options, const TransportRegistry* transports,
                                                          PortGate* gate);
  // Ends every session.
  ~Responder();

  uint16_t port() const { return door_->port(); }
  const DoorOptions& door_options() const { return door_->options(); }
  // Differs each time a responder starts.
  uint64_t incarnation() const { return incarnation_; }
  // Sessions that ask for a node are granted only under this id. Empty = no id yet.
  void SetNodeId(const std::string& node_id);
  std::string node_id() const;
  ResponderCounters counters() const;

 private:
  Responder(ResponderOptions options, const TransportRegistry* transports, PortGate* gate);

  struct Admission;
  void OnRequest(DoorConnection connection);
  // On a thread of its own, from the request to the end.
  void RunSession(DoorConnection connection);
  Admission Admit(const DoorConnection& connection);
  // False: it didn't take all of it.
  bool Reply(DoorConnection& connection, const v1::SessionReply& reply);
  void Refuse(DoorConnection& connection, const Admission& admission);
  // Counts a session of this peer; false: there are as many as may be.
  bool Enter(const std::string& peer);
  void Leave(const std::string& peer);
  // Where the door is open, for a grant.
  google::protobuf::RepeatedPtrField<std::string> Addresses() const;
  bool TakesOrders() const;
  OrderLimits LimitsOfOrders() const;

  const ResponderOptions options_;
  const TransportRegistry* const transports_;
  PortGate* const gate_;
  const uint64_t incarnation_;
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::string node_id_;
  std::vector<std::string> door_hosts_;  // those that the door is open on
  std::map<std::string, size_t> sessions_per_peer_;
  size_t sessions_ = 0;
  uint64_t granted_ = 0;
  uint64_t refused_ = 0;
  WorkerPool workers_;
  std::unique_ptr<Door> door_;  // last: it calls into everything above
};

}  // namespace netsense
