// The cluster as node × node columns, one set per layer: what GET /api/v0/network_matrix answers with.
// docs/architecture.md says what the document looks like.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "raylet_bridge/cluster/layers.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

// Each column has nodes × nodes elements, row = source. NaN = not known; only an edge that is OK has figures.
struct MatrixLayer {
  Layer name;
  // Of all its edges, whether the columns are filled in or not.
  int64_t not_ok = 0, unknown = 0, slow_bandwidth = 0, slow_rtt = 0;  // unknown: UNKNOWN and STALE, not in not_ok
  int64_t bw_life_ms = 0;        // so old may a bandwidth of this layer become; 0 = none is probed
  std::vector<uint8_t> state;    // v1::PathState, or kNoEdge
  std::vector<uint8_t> slow;     // 0, or kSlowBandwidth, kSlowRtt, or both
  std::vector<uint16_t> reason;  // place in Matrix.reasons; of an edge that is slow: beside what
  std::vector<float> rtt_p50_ms, network_rtt_p50_ms, jitter_ms, bw_p50_mbps, bw_percent, rtt_age_ms, bw_age_ms;

  bool filled() const { return !state.empty(); }
};

struct Matrix {
  static constexpr uint8_t kNoEdge = 255;  // the diagonal, and pairs without a path in this layer
  static constexpr uint8_t kSlowBandwidth = 1, kSlowRtt = 2;
  static constexpr size_t kMaxReasons = 4096, kMaxReasonBytes = 240;
  static constexpr size_t kMaxColumnBytes = 64 << 20;  // of all layers together, but for the first

  int64_t generated_at_ms = 0;
  std::vector<TopologyNode> nodes;
  std::vector<TopologyLost> lost;
  std::vector<std::string> warnings;
  std::vector<std::string> reasons;  // the first is "": no reason
  std::vector<MatrixLayer> layers;   // tcp first, then by name
};

// The layers and their edges as in layers.h; a pair that nobody reported is UNKNOWN there.
// Fills in the layer `only`, else as many as kMaxColumnBytes hold. 32 bytes an element: 8.4 MB a layer of 512 nodes.
// OutOfRange: there is no layer `only`. `marks` as in JudgeCluster.
absl::StatusOr<Matrix> BuildMatrix(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                   MonotonicTime now, std::optional<size_t> only = std::nullopt,
                                   const SlowMarks* marks = nullptr);

// The document. `message` says why the data are not of now.
std::string MatrixToBytes(const Matrix& matrix, const std::string& message);

}  // namespace netsense
