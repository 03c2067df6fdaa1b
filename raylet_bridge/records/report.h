// What a node says of its own paths: the value of the KV key `edge_samples:<node id>`.
//
// The fields and their units are those of docs/architecture.md: _ms are milliseconds (full round trips), _mbps decimal
// megabits of payload per second, ages as of the report's `ts_ms`. Only an edge that is OK carries figures.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"
#include "raylet_bridge/records/door_record.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

struct DistributionMs {
  int64_t count = 0;
  double min = 0, p50 = 0, p90 = 0, p99 = 0, p99_9 = 0, max = 0, mean = 0, stdev = 0;
  int64_t span_ms = 0;
};

struct ReportEdge {
  std::string dst_node_id;
  std::optional<double> rtt_ms, rtt_p50_ms, jitter_ms, bw_mbps, bw_p50_mbps;
  std::optional<double> bw_best_mbps;  // the highest of the last 20 probes
  v1::PathState state = v1::PATH_STATE_UNKNOWN;
  std::string reason;
  std::string transport, fabric, src_port, dst_port;
  std::optional<int64_t> rail;  // of both ports
  bool cross_rail = false;      // between two different rails
  std::optional<int64_t> rtt_age_ms;
  int64_t rtt_samples = 0, rtt_window = 0;
  std::optional<int64_t> bw_age_ms;
  int64_t bw_samples = 0, bw_window = 0;
  // MEASURED; FAILED: the newest probes failed; NOT_KNOWN. Only a measured bandwidth has figures, until it is
  // bw_life_ms old.
  v1::BandwidthState bw_state = v1::BANDWIDTH_STATE_NOT_KNOWN;
  std::string bw_reason;  // why it has none, or why the last probe gave none
  std::optional<int64_t> bw_life_ms;
  std::optional<int64_t> state_age_ms, last_ok_age_ms;  // last_ok: nothing = never
  std::optional<double> network_rtt_ms, network_rtt_p50_ms, network_rtt_jitter_ms;
  std::optional<DistributionMs> rtt_distribution_ms, network_rtt_distribution_ms, responder_hold_distribution_ms;
  std::string timestamp_source;
  int64_t pings_sent = 0, pings_lost = 0;
  std::optional<int64_t> retransmits;  // segments that TCP sent again for pings; nothing: the transport cannot tell
  int64_t bw_probes = 0, bw_failed = 0, bw_busy = 0, bw_deferred = 0;
  // What the path could carry, the median's share of it in percent, and which of the two ends sets the limit.
  std::optional<double> bw_expected_mbps, bw_percent;
  std::string bw_limit;
  std::map<std::string, int64_t> counters;  // that moved during the last bandwidth probe, at the source's port
  std::string binding, peer_binding;        // of each side's threads and memory, in words
};

struct Report {
  std::string node_id;
  int64_t ts_ms = 0;  // milliseconds since the Unix epoch
  std::string version;
  int64_t tick_ms = 0;
  int64_t ttl_ms = 0;  // older than this it is STALE, for every reader; 0 = not said
  std::string reason;  // why there are no edges; empty when there are
  std::vector<ReportEdge> edges;
};

// Takes every figure out of an edge that is no longer OK.
void ClearFigures(ReportEdge& edge);
// Lets time pass: every age grows by `ms`, and a bandwidth whose life is over is NOT_KNOWN.
void AddToAges(ReportEdge& edge, int64_t ms);
// Whether the edge's bandwidth still counts when `ms` have passed since its ages were true.
bool BandwidthCounts(const ReportEdge& edge, int64_t ms);

// What the engine said of a path, its ages as of `at`. It is shared, and never changed.
struct PathReading {
  v1::PathResult result;
  MonotonicTime at{};
};
// For each path of a plan, in its order; null = the engine has said nothing of it.
using PathReadings = std::vector<std::shared_ptr<const PathReading>>;

// One edge for each path of `plan`, from `readings`, which are the plan's; a path that the engine says nothing of is
// UNKNOWN. `engine_problem`, when not empty, says why the engine can't be heard: then nothing is known of
// any path. A path whose newest round trip is older than rtt_ttl_ms is STALE.
Report MakeReport(const v1::Plan& plan, const PathReadings& readings, const std::string& engine_problem,
                  const std::map<std::string, DoorRecord>& doors, const Settings& settings, int64_t ts_ms,
                  MonotonicTime now);

std::string ReportToJson(const Report& report);
nlohmann::ordered_json EdgeToJson(const ReportEdge& edge);
// What EdgeToJson wrote; a field that is absent or of another type is not known.
ReportEdge EdgeFromJson(const nlohmann::ordered_json& object);

// Another node wrote it, and is believed in what it says of itself only. InvalidArgument: it can't be read, or is
// another node's. Edges without a destination or a state, to itself, or told twice are left out; an edge that claims to
// be OK without a round trip is UNKNOWN.
absl::StatusOr<Report> ParseReport(const std::string& json, const std::string& node_id);

}  // namespace netsense
