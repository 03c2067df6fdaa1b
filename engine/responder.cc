#include "engine/responder.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "engine/expectation.h"
#include "engine/inventory/addresses.h"
#include "engine/local_ports.h"

namespace netsense {
namespace {

// A peer that has died in the middle of a stream session must not keep the port for as long as other sessions bear with
// it, whichever side sends.
void NoticeDeathSoon(int fd) {
  const auto limit_ms = static_cast<int>(deadlines::kStreamPeerDead().count());
  const int probe_s = limit_ms / 3000;  // after so long, and as long again, and once more
  const std::pair<int, int> options[] = {
      {TCP_KEEPIDLE, probe_s}, {TCP_KEEPINTVL, probe_s}, {TCP_KEEPCNT, 2}, {TCP_USER_TIMEOUT, limit_ms}};
  for (auto [name, value] : options) setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value));
}

constexpr int kMostAddresses = 1000;  // a grant is one message, of 64 KiB at most

uint64_t RandomNumber() {
  std::array<uint8_t, 8> bytes{};
  FillRandom(bytes);
  uint64_t number = 0;
  for (uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

void DescribePort(const v1::Port& port, v1::SessionReply::Grant* grant) {
  const PathEnd end = EndOf(port);
  grant->set_port(end.port);
  grant->set_port_speed_bps(end.speed_bps);
  grant->set_port_pcie_gbps(end.pcie_gbps);
  grant->set_port_pcie(end.pcie);
  grant->set_port_mtu(end.mtu);
}

// In the log: "tcp pings".
std::string WhatFor(const v1::OpenSession& request) {
  switch (request.purpose()) {
    case v1::SESSION_PURPOSE_PING:
      return absl::StrCat(Printable(request.transport()), " pings");
    case v1::SESSION_PURPOSE_STREAM:
      return absl::StrCat(Printable(request.transport()), " streams");
    case v1::SESSION_PURPOSE_ORDER:
      return "orders";
    default:
      return "nothing that this engine knows";
  }
}

}  // namespace

// Granted with a transport to serve with (and the port's pass for a stream), or without one for orders; or a refusal.
struct Responder::Admission {
  bool granted = true;
  Transport* transport = nullptr;
  std::unique_ptr<PortGate::Pass> pass;
  v1::Port port;
  v1::SessionReply::Refusal refusal;

  static Admission Refuse(v1::RefusalCode code, const std::string& reason, uint32_t retry_after_ms = 0) {
    Admission admission;
    admission.granted = false;
    admission.refusal.set_code(code);
    admission.refusal.set_reason(reason);
    admission.refusal.set_retry_after_ms(retry_after_ms);
    return admission;
  }
};

absl::StatusOr<std::unique_ptr<Responder>> Responder::Start(ResponderOptions options,
                                                            const TransportRegistry* transports, PortGate* gate) {
  std::unique_ptr<Responder> responder(new Responder(std::move(options), transports, gate));
  std::lock_guard lock(responder->mutex_);  // a session that comes at once waits for what follows
  auto door = Door::Open(responder->options_.door,
                         [raw = responder.get()](DoorConnection connection) { raw->OnRequest(std::move(connection)); });
  if (!door.ok()) return door.status();
  responder->door_ = *std::move(door);
  responder->door_hosts_ = responder->door_->options().more_hosts;
  responder->door_hosts_.push_back(responder->door_->options().host);
  return responder;
}

Responder::Responder(ResponderOptions options, const TransportRegistry* transports, PortGate* gate)
    : options_(std::move(options)),
      transports_(transports),
      gate_(gate),
      incarnation_(RandomNumber()),
      workers_(options_.keep_idle_threads) {}

Responder::~Responder() {
  door_.reset();
  stop_.request_stop();
}

void Responder::SetNodeId(const std::string& node_id) {
  std::lock_guard lock(mutex_);
  node_id_ = node_id;
}

std::string Responder::node_id() const {
  std::lock_guard lock(mutex_);
  return node_id_;
}

ResponderCounters Responder::counters() const {
  ResponderCounters counters;
  counters.door = door_->counters();
  std::lock_guard lock(mutex_);
  counters.sessions_granted = granted_;
  counters.sessions_refused = refused_;
  return counters;
}

Responder::Admission Responder::Admit(const DoorConnection& connection) {
  const v1::OpenSession& request = connection.request;
  std::string own_id = node_id();
  if (!request.target_node_id().empty() && request.target_node_id() != own_id)
    return Admission::Refuse(v1::REFUSAL_CODE_UNKNOWN_NODE,
                             own_id.empty() ? "this engine has no node id yet" : absl::StrCat("this is node ", own_id));
  Admission admission;
  const bool for_orders = request.purpose() == v1::SESSION_PURPOSE_ORDER;
  if (for_orders && !TakesOrders())
    return Admission::Refuse(v1::REFUSAL_CODE_POLICY, "a node without a token takes no orders from other hosts");
  if (!for_orders) {
    auto transport = transports_->Await(request.transport(), MonotonicNow() + deadlines::kChildAnswer(),
                                        stop_.get_token(), connection.peer_address);
    if (!transport.ok())
      return Admission::Refuse(v1::REFUSAL_CODE_TRANSPORT, std::string(transport.status().message()));
    auto fit = CheckOptions(request.options(), (*transport)->name(), (*transport)->capabilities());
    if (!fit.ok()) return Admission::Refuse(v1::REFUSAL_CODE_OPTIONS, std::string(fit.message()));
    admission.transport = *transport;
  }
  v1::Port port = request.target_port().empty() ? PortOfAddress(LocalAddress(connection.fd.get()))
                                                : PortNamed(request.target_port());
  if (port.name().empty() && !request.target_port().empty())
    return Admission::Refuse(v1::REFUSAL_CODE_POLICY, absl::StrCat("this node has no port ", request.target_port()));
  admission.port = port;
  if (for_orders || request.purpose() == v1::SESSION_PURPOSE_PING) return admission;
  if (request.purpose() != v1::SESSION_PURPOSE_STREAM)
    return Admission::Refuse(v1::REFUSAL_CODE_POLICY, "the session has no purpose that this engine knows");
  if (request.max_stream_bytes() == 0)
    return Admission::Refuse(v1::REFUSAL_CODE_POLICY, "a session for streams without a byte to send");
  if (request.max_stream_bytes() > options_.max_stream_bytes)
    return Admission::Refuse(v1::REFUSAL_CODE_BUDGET,
                             absl::StrCat("this engine takes at most ", options_.max_stream_bytes,
                                          " bytes in one stream, not ", request.max_stream_bytes()));
  auto pass =
      gate_->TryEnter(port.name(), port.speed_bps(), request.max_stream_bytes(), MonotonicNow(), request.measurement());
  if (!pass.ok()) {
    bool busy = absl::IsAborted(pass.status());
    return Admission::Refuse(busy ? v1::REFUSAL_CODE_BUSY : v1::REFUSAL_CODE_BUDGET,
                             std::string(pass.status().message()), 100);
  }
  admission.pass = std::make_unique<PortGate::Pass>(*std::move(pass));
  return admission;
}

bool Responder::TakesOrders() const {
  if (options_.take_orders == TakeOrders::kFromAnybody || !options_.door.token.empty()) return true;
  auto is_loopback = [](const std::string& host) { return IsLoopback(host); };
  return IsLoopback(options_.door.host) &&
         std::all_of(options_.door.more_hosts.begin(), options_.door.more_hosts.end(), is_loopback);
}

OrderLimits Responder::LimitsOfOrders() const {
  OrderLimits limits;
  limits.token = options_.door.token;
  limits.max_stream_bytes = options_.max_stream_bytes;
  limits.max_order = options_.max_stream_session;
  limits.allow_busy_poll = options_.allow_busy_poll;
  limits.pinning = options_.pinning;
  return limits;
}

google::protobuf::RepeatedPtrField<std::string> Responder::Addresses() const {
  google::protobuf::RepeatedPtrField<std::string> addresses;
  auto add = [&addresses](const std::string& address) {
    if (addresses.size() < kMostAddresses) *addresses.Add() = address;
  };
  std::unique_lock lock(mutex_);
  const std::vector<std::string> hosts = door_hosts_;
  lock.unlock();
  if (!IsUnspecified(hosts.back())) {
    for (const std::string& host : hosts) add(host);
    return addresses;
  }
  for (const inventory::Link& link : inventory::ReadLinks())
    for (const std::string& address : link.addresses)
      if (!link.loopback && !address.starts_with("fe80:")) add(address);
  return addresses;
}

// On the door's thread. Whatever asks a backend, the kernel or a lock is left to the session's own.
void Responder::OnRequest(DoorConnection connection) {
  // std::function wants to copy: what can only be moved goes into a shared box.
  auto box = std::make_shared<DoorConnection>(std::move(connection));
  if (!Enter(box->peer_address))
    return Refuse(*box, Admission::Refuse(v1::REFUSAL_CODE_BUDGET, "too many sessions", 1000));
  const bool started = workers_.Run([this, box] {
    const std::string peer = box->peer_address;
    RunSession(std::move(*box));
    Leave(peer);
  });
  if (started) return;
  Refuse(*box, Admission::Refuse(v1::REFUSAL_CODE_BUDGET, "no thread left for a session", 1000));
  Leave(box->peer_address);
}

bool Responder::Enter(const std::string& peer) {
  std::lock_guard lock(mutex_);
  if (sessions_ >= options_.max_sessions) return false;
  size_t& of_peer = sessions_per_peer_[peer];
  if (of_peer >= options_.max_sessions_per_peer) return false;
  ++of_peer;
  ++sessions_;
  return true;
}

void Responder::Leave(const std::string& peer) {
  std::lock_guard lock(mutex_);
  --sessions_;
  if (auto of_peer = sessions_per_peer_.find(peer); --of_peer->second == 0) sessions_per_peer_.erase(of_peer);
}

bool Responder::Reply(DoorConnection& connection, const v1::SessionReply& reply) {
  {
    std::lock_guard lock(mutex_);
    ++(reply.has_grant() ? granted_ : refused_);
  }
  return AnswerAtDoor(connection, reply);
}

void Responder::Refuse(DoorConnection& connection, const Admission& admission) {
  spdlog::debug("{} asks for {}: refused, {}", connection.peer_address, WhatFor(connection.request),
                admission.refusal.reason());
  v1::SessionReply reply;
  *reply.mutable_refusal() = admission.refusal;
  Reply(connection, reply);
}

void Responder::RunSession(DoorConnection connection) {
  Admission admission = Admit(connection);
  if (!admission.granted) return Refuse(connection, admission);
  const std::string peer = connection.peer_address;
  const std::string what = WhatFor(connection.request);
  v1::SessionReply reply;
  v1::SessionReply::Grant& grant = *reply.mutable_grant();
  grant.set_node_id(node_id());
  grant.set_incarnation(incarnation_);
  grant.set_session_nonce(RandomNumber());
  bool spin = options_.allow_busy_poll && connection.request.wait_mode() == v1::WAIT_MODE_BUSY_POLL;
  grant.set_wait_mode(spin ? v1::WAIT_MODE_BUSY_POLL : v1::WAIT_MODE_BLOCK);
  grant.set_software_version(NETSENSE_VERSION);
  DescribePort(admission.port, &grant);
  if (connection.request.target_port().empty()) *grant.mutable_addresses() = Addresses();
  if (options_.pinning != nullptr) *grant.mutable_binding() = options_.pinning->Plan(admission.port);
  connection.grant = grant;
  spdlog::debug("{} asks for {}: granted", peer, what);
  if (!Reply(connection, reply)) return;
  absl::Status status;
  if (admission.transport == nullptr) {
    status = ServeOrders(std::move(connection.fd), std::move(connection.seal), *transports_, gate_, LimitsOfOrders(),
                         stop_.get_token());
  } else {
    ServeLimits limits;
    if (admission.pass != nullptr) {
      // It holds its port: whoever opens one must use it at once.
      limits = {.idle = options_.stream_session_idle, .total = options_.max_stream_session};
      NoticeDeathSoon(connection.fd.get());
    }
    limits.hold_pings = options_.hold_pings;
    if (options_.pinning != nullptr) options_.pinning->Apply(connection.grant.binding());
    status = admission.transport->Serve(std::move(connection), limits, stop_.get_token());
  }
  spdlog::debug("{} of {} ended: {}", what, peer, status.ok() ? "it left" : status.ToString());
}

}  // namespace netsense
