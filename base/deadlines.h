// The limits that the programs set themselves: how long one of them waits for another process, a peer, a library or the
// kernel. Each stands here once, with its value for a machine that keeps up. On one that does not, the environment
// variable NETSENSE_TIME_SCALE lengthens all of them by one factor, in every program that inherits it: 1 to 100, so
// that it never takes a limit away.
//
// What users set, by flags, settings or plans, is taken as it is. How often something is done, and the pause before it
// is tried again, is no deadline and stays with what does it. docs/operations.md has the table.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"

namespace netsense {

// The factor in force. Read from the environment at the first call, in this process for good; a value that is no number
// from 1 to 100 is said in the log, once, and counts as 1. Thread-safe.
double TimeScale();

// InvalidArgument: not a number from 1 to 100.
absl::StatusOr<double> ParseTimeScale(const std::string& text);

class Deadline {
 public:
  constexpr explicit Deadline(std::chrono::milliseconds nominal) : nominal_(nominal) {}
  constexpr std::chrono::milliseconds nominal() const { return nominal_; }
  // On this machine.
  std::chrono::milliseconds operator()() const { return Times(TimeScale()); }
  constexpr std::chrono::milliseconds Times(double scale) const {
    return std::chrono::milliseconds(static_cast<int64_t>(static_cast<double>(nominal_.count()) * scale));
  }

 private:
  std::chrono::milliseconds nominal_;
};

namespace deadlines {

using namespace std::chrono_literals;

// ---- the door and its sessions
inline constexpr Deadline kHandshake{2s};             // both sides: from the connection to the granted session
inline constexpr Deadline kFabricConnect{10s};        // the responder, for a fabric that connects in its own way
inline constexpr Deadline kSessionIdle{10min};        // the responder, for the next request
inline constexpr Deadline kStreamSessionIdle{2s};     // the same where a stream session holds the port
inline constexpr Deadline kPeerDead{30s};             // the kernel, for any sign of a session's peer
inline constexpr Deadline kStreamSession{60s};        // the responder, for the whole of a stream session, or an order
inline constexpr Deadline kStreamPeerDead{6s};        // the same where a stream session holds the port
inline constexpr Deadline kStreamStall{2s};           // the receiver of a stream, for a hundredth of it
inline constexpr Deadline kStreamsComeTogether{10s};  // the port, for the later streams of one measurement
inline constexpr Deadline kOrderIdle{2min};           // a node that takes orders, for the next one
inline constexpr Deadline kOrderAnswer{5s};           // the same, for the coordinator to take an answer
// ---- who measures
inline constexpr Deadline kConnect{5s};          // for a session, from nothing
inline constexpr Deadline kNameLookup{5s};       // for the addresses of a host's name, where nothing else ends it
inline constexpr Deadline kPortBusy{2s};         // for the measurement before to leave the peer's port
inline constexpr Deadline kDrain{30s};           // for what is on its way when a timed stream ends
inline constexpr Deadline kFinish{1s};           // for a stream that was told to end in order
inline constexpr Deadline kUntimedStream{1h};    // for a stream that is bounded by its bytes alone
inline constexpr Deadline kLoadedPing{5s};       // for a ping behind the queues that are being measured
inline constexpr Deadline kMatrixPing{1s};       // for a ping of the matrix, when --timeout is longer
inline constexpr Deadline kMatrixDrain{2s};      // as kDrain: one slow pair must not hold the others up
inline constexpr Deadline kMatrixPortBusy{60s};  // for a port that is taken, or whose share is used up
inline constexpr Deadline kMatrixHangs{60s};     // for the whole matrix, beyond ten times what it was estimated to take
inline constexpr Deadline kMatrixShare{6s};    // and for each stream between engines, which give a share of their ports
inline constexpr Deadline kClusterAnswer{5s};  // for the head's list of nodes: to connect, and to answer
inline constexpr Deadline kFileTrial{10s};     // whoever reads an hwloc file, for the child that tries it
// ---- a transport in a process of its own
inline constexpr Deadline kChildAnswer{5s};        // whoever asks, for a child that is starting
inline constexpr Deadline kChildStart{20s};        // the engine, for its first words: then it is ended
inline constexpr Deadline kChildLate{2s};          // a session, for a child that should have answered by then
inline constexpr Deadline kChildReaped{1s};        // the same, to learn how a child ended; the engine, for that end
inline constexpr Deadline kChildReads{2s};         // the engine, for the child to read: until then it gets sessions
inline constexpr Deadline kChildHangs{6s};         // the same, from when it did not read: then it is killed
inline constexpr Deadline kEngineStandsStill{2s};  // the child, for its engine's next sign of life (four a second)
inline constexpr Deadline kEndpointClose{1s};      // UCX's own close of an endpoint
// ---- engine and bridge
inline constexpr Deadline kControlPreface{2s};     // the engine, for a client's first bytes on the control socket
inline constexpr Deadline kControlEnd{1s};         // an engine that ends, for the calls under way
inline constexpr Deadline kStatusAnswer{3s};       // netsense-engine --status, for the engine that it asks
inline constexpr Deadline kEngineAnswer{1s};       // the bridge, for each of the engine's answers
inline constexpr Deadline kEngineFirstAnswer{6s};  // but the first: it loads libraries and starts a process for it
inline constexpr Deadline kEngineSilence{3s};      // the bridge, for the engine's next sign of life (one a second)
inline constexpr Deadline kNextBridge{10s};        // the engine, for the next bridge when its own was killed
inline constexpr Deadline kEngineEnd{1s};          // the bridge, from SIGTERM to SIGKILL
// ---- the bridge, the GCS and who reads
inline constexpr Deadline kGcsCall{2s};          // for each call's answer
inline constexpr Deadline kGcsWrite{1s};         // for each write of the reports
inline constexpr Deadline kGcsLastWords{300ms};  // for each write when the bridge ends
inline constexpr Deadline kGcsReconnect{200ms};  // for the connection after an outage, within a call
inline constexpr Deadline kGcsKeepalive{10s};    // for the answer to gRPC's own ping
inline constexpr Deadline kNodeSilence{5s};      // the standalone head, for a node's next heartbeat (one a second)
inline constexpr Deadline kForget{10s};          // netsense-bridge forget, for the head to do it
inline constexpr Deadline kHttpRequest{2s};      // the bridge, for a whole request
inline constexpr Deadline kHttpStall{2s};        // the same, for a reader that takes nothing
inline constexpr Deadline kHttpAnswer{30s};      // the same, for the whole answer to be taken

}  // namespace deadlines
}  // namespace netsense
