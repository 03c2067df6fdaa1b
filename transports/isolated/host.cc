#include "transports/isolated/host.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <list>
#include <optional>
#include <system_error>
#include <thread>

#include "base/child_process.h"
#include "base/deadlines.h"
#include "netsense/isolation.pb.h"
#include "transports/isolated/last_words.h"
#include "transports/isolated/packet.h"
#include "transports/isolated/thread_binding.h"
#include "transports/stream_meter.h"

namespace netsense::isolated {
namespace {

MonotonicTime TimeOf(int64_t ns) { return MonotonicTime(std::chrono::nanoseconds(ns)); }

v1::ChildOutcome OutcomeOf(const absl::Status& status) {
  v1::ChildOutcome outcome;
  outcome.set_code(static_cast<int32_t>(status.code()));
  outcome.set_message(std::string(status.message()));
  return outcome;
}

v1::ChildOutcome OutcomeOf(const absl::StatusOr<RttSample>& sample) {
  v1::ChildOutcome outcome = OutcomeOf(sample.status());
  if (!sample.ok()) return outcome;
  outcome.mutable_rtt()->set_rtt_ns(static_cast<uint64_t>(sample->rtt.count()));
  if (sample->responder_hold)
    outcome.mutable_rtt()->set_responder_hold_ns(static_cast<uint64_t>(sample->responder_hold->count()));
  outcome.mutable_rtt()->set_source(sample->source);
  return outcome;
}

v1::ChildOutcome OutcomeOf(const absl::StatusOr<StreamSample>& sample) {
  v1::ChildOutcome outcome = OutcomeOf(sample.status());
  if (!sample.ok()) return outcome;
  *outcome.mutable_stream()->mutable_report() = ReportOf(*sample);
  if (sample->sent) {
    outcome.mutable_stream()->set_sent_bytes(sample->sent->bytes);
    outcome.mutable_stream()->set_sent_past_buffers_ns(sample->sent->past_buffers.count());
  }
  return outcome;
}

// While alive: tells how far the stream is that runs, where somebody watches it (`moved`); and whatever else comes on
// the session's socket is the order to finish it.
class StreamWatch {
 public:
  StreamWatch(int socket, const std::atomic<uint64_t>* moved) : over_(eventfd(0, EFD_CLOEXEC)) {
    try {
      if (over_) thread_ = std::thread([this, socket, moved] { Run(socket, moved); });
    } catch (const std::system_error&) {
    }
    // No descriptor or thread left: then it runs to its bounds, and nobody sees how far it is.
    if (!thread_.joinable() && moved != nullptr) Tell(socket, kMovedNotKnown);
  }
  ~StreamWatch() {
    if (!thread_.joinable()) return;
    eventfd_write(over_.get(), 1);
    thread_.join();
  }
  std::stop_token token() const { return source_.get_token(); }

 private:
  static void Tell(int socket, uint64_t moved) {
    v1::ChildOutcome told;
    told.set_moved_bytes(moved);
    (void)SendPacket(socket, told);
  }

  void Run(int socket, const std::atomic<uint64_t>* moved) {
    constexpr int kTellMs = 100;
    pollfd over{over_.get(), POLLIN, 0}, order{socket, POLLIN, 0};
    while (over.revents == 0) {
      pollfd wait[] = {over, order};
      const bool finishing = source_.stop_requested();
      const int ready = poll(wait, finishing ? 1 : 2, moved == nullptr ? -1 : kTellMs);
      if (ready < 0) continue;
      over.revents = wait[0].revents;
      if (!finishing && wait[1].revents != 0) source_.request_stop();
      if (over.revents == 0 && moved != nullptr) Tell(socket, moved->load(std::memory_order_relaxed));
    }
  }

  UniqueFd over_;
  std::stop_source source_;
  std::thread thread_;
};

// One session on a thread of its own. The engine's end of the socket going away stops it.
class HostedSession {
 public:
  // `ended` is an eventfd, written to at the end of the thread.
  HostedSession(Transport& transport, v1::ChildSession order, UniqueFd door, UniqueFd socket, int ended)
      : transport_(transport), order_(std::move(order)), door_(std::move(door)), socket_(std::move(socket)) {
    try {
      thread_ = std::thread([this, ended] {
        Run();
        over_ = true;
        eventfd_write(ended, 1);
      });
    } catch (const std::system_error&) {
      (void)TrySendPacket(socket_.get(), OutcomeOf(absl::InternalError("no thread left for this session")));
      over_ = true;
    }
  }
  ~HostedSession() {
    Stop();
    if (thread_.joinable()) thread_.join();
  }

  int socket() const { return socket_.get(); }
  bool serves() const { return order_.has_serve(); }
  bool stopped() const { return stop_.stop_requested(); }
  // Nobody asks for it any more, and its thread is about to be gone: to be destroyed without waiting.
  bool over() const { return stopped() && over_; }
  void Stop() {
    stop_.request_stop();
    shutdown(socket_.get(), SHUT_RDWR);
  }

 private:
  void Run() {
    const CarriesSession in_whose(order_.peer_address());
    BindThisThread(order_.binding());
    DoorConnection connection;
    connection.fd = std::move(door_);
    connection.peer_address = order_.peer_address();
    connection.request = order_.request();
    connection.grant = order_.grant();
    if (order_.has_serve()) {
      ServeLimits limits{.open = std::chrono::nanoseconds(order_.serve().open_ns()),
                         .idle = std::chrono::nanoseconds(order_.serve().idle_ns()),
                         .total = std::chrono::nanoseconds(order_.serve().total_ns()),
                         .hold_pings = std::chrono::nanoseconds(order_.serve().hold_pings_ns())};
      (void)SendPacket(socket_.get(), OutcomeOf(transport_.Serve(std::move(connection), limits, stop_.get_token())));
    } else {
      Probe(std::move(connection));
    }
  }

  void Probe(DoorConnection connection) {
    auto session = transport_.Connect(std::move(connection), TimeOf(order_.connect().deadline_ns()), stop_.get_token());
    v1::ChildOutcome connected = OutcomeOf(session.status());
    if (session.ok()) {
      connected.mutable_connected()->set_mode((*session)->details().mode);
      connected.mutable_connected()->set_device((*session)->details().device);
    }
    if (!SendPacket(socket_.get(), connected).ok() || !session.ok()) return;
    v1::ChildCall call;
    while (ReceivePacket(socket_.get(), &call).ok()) {
      if (call.has_finish()) continue;
      if (!SendPacket(socket_.get(), Carry(**session, call)).ok()) return;
    }
  }

  v1::ChildOutcome Carry(Session& session, const v1::ChildCall& call) {
    if (!call.has_stream()) return OutcomeOf(Ping(session, call));
    auto spec = SpecOf(call.stream());
    if (!spec.ok()) return OutcomeOf(spec.status());
    std::atomic<uint64_t> moved = 0;
    if (call.watched()) spec->moved = &moved;
    std::optional<StreamWatch> watch;
    if (call.may_finish() || call.watched()) spec->finish = watch.emplace(socket_.get(), spec->moved).token();
    return OutcomeOf(session.Stream(*spec, TimeOf(call.deadline_ns()), stop_.get_token()));
  }

  // Asking us for a ping goes through the kernel and another process, which leaves the caches cold. Who asked for busy
  // polling wants the round trip of a path in use: one that nobody times goes ahead.
  absl::StatusOr<RttSample> Ping(Session& session, const v1::ChildCall& call) {
    const PingSpec spec{.payload_bytes = call.ping_payload_bytes()};
    const MonotonicTime deadline = TimeOf(call.deadline_ns());
    if (order_.request().wait_mode() == v1::WAIT_MODE_BUSY_POLL)
      if (auto untimed = session.Ping(spec, deadline, stop_.get_token()); !untimed.ok()) return untimed;
    return session.Ping(spec, deadline, stop_.get_token());
  }

  Transport& transport_;
  const v1::ChildSession order_;
  UniqueFd door_;
  UniqueFd socket_;
  std::stop_source stop_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace

int HostTransport(Transport& transport) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, SIG_IGN);  // whoever sends it to all of ours means the engine, which ends us in order
  rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (fcntl(ChildProgram::kDescriptor, F_SETFD, FD_CLOEXEC) != 0) {
    std::cerr
        << "This program runs a transport for netsense-engine and netsense-bench, which start it by themselves.\n";
    return 2;
  }
  TellOfCrashes(ChildProgram::kDescriptor);
  v1::ChildHello hello;
  absl::Status availability = transport.availability();
  hello.set_availability_code(static_cast<int32_t>(availability.code()));
  hello.set_availability_reason(std::string(availability.message()));
  if (!SendPacket(ChildProgram::kDescriptor, hello).ok()) return 0;

  // Nothing here waits for a session: the engine ends a process that does not read.
  const UniqueFd ended(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::list<std::unique_ptr<HostedSession>> sessions;
  MonotonicTime heard = MonotonicNow();
  while (true) {
    // An engine that was stopped does not answer, over no transport: not by its child either.
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(heard + deadlines::kEngineStandsStill() - MonotonicNow());
    if (left.count() <= 0)
      for (const auto& session : sessions)
        if (session->serves()) session->Stop();
    std::vector<pollfd> waits{{ChildProgram::kDescriptor, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    for (const auto& session : sessions) waits.push_back({session->stopped() ? -1 : session->socket(), POLLRDHUP, 0});
    const int wait_ms = left.count() > 0 ? static_cast<int>(left.count()) : -1;
    if (poll(waits.data(), waits.size(), wait_ms) < 0) continue;
    eventfd_t ends = 0;
    if (waits[1].revents != 0) eventfd_read(ended.get(), &ends);
    size_t i = 2;
    for (const auto& session : sessions)
      if (waits[i++].revents != 0) session->Stop();
    std::erase_if(sessions, [](const auto& session) { return session->over(); });
    if (waits[0].revents == 0) continue;
    v1::ChildSession order;
    std::vector<UniqueFd> descriptors;
    auto status = ReceivePacket(ChildProgram::kDescriptor, &order, &descriptors);
    if (absl::IsUnavailable(status)) return 0;
    heard = MonotonicNow();
    if (status.ok() && descriptors.size() == 2)
      sessions.push_back(std::make_unique<HostedSession>(transport, std::move(order), std::move(descriptors[0]),
                                                         std::move(descriptors[1]), ended.get()));
  }
}

}  // namespace netsense::isolated
