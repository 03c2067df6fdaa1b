// The last hour of every edge, as the head's bridge saw it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "netsense/measurement.pb.h"
#include "raylet_bridge/cluster/layer.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/records/settings.h"

namespace netsense {

// One point a step, 9 bytes each. The step is the shortest of 10, 20, 40 ... 640 s with which every pair of nodes in
// every layer fits into kMaxBytes: 10 s up to 140 nodes and one layer, 160 s with 512 nodes. Where not even 640 s fit
// (from 1115 nodes on), the last layers have no history. A longer step merges the points that it covers: the newest
// figures and the gravest state, so that no outage is lost.
//
// Nodes and layers that are gone keep their points until the newest is older than kSpan: they may be back at the next
// tick, when the GCS only lost its keys. For them the step stays as long as it is, or becomes up to kStretchForGone
// times as long as it would be without them; what does not fit even so is forgotten, the longest gone first. A
// layer whose fabric was not known is not kept once it is known. Thread-safe.
class EdgeHistory {
 public:
  static constexpr std::chrono::milliseconds kSpan{3'600'000};
  static constexpr size_t kMaxBytes = 64 << 20;
  static constexpr int64_t kFinestStepMs = 10'000, kCoarsestStepMs = 640'000, kStretchForGone = 4;

  // What is known now of the whole cluster: a Begin, and an Add for each edge that counts.
  void Look(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now);

  // Nodes and layers that are not among these are gone. `now` does not go back from call to call.
  void Begin(const std::vector<std::string>& nodes, const std::vector<Layer>& layers, MonotonicTime now);
  // Of the nodes, and in the layer, at these places of what Begin was given last.
  void Add(size_t src, size_t dst, size_t layer, v1::PathState state, std::optional<double> rtt_p50_ms,
           std::optional<double> bw_p50_mbps);

  struct Point {
    int64_t ts_ms = 0;  // milliseconds since the Unix epoch, of the step's begin
    std::optional<float> rtt_p50_ms, bw_p50_mbps;
    v1::PathState state = v1::PATH_STATE_UNKNOWN;
  };
  struct Line {
    Layer layer;
    int64_t step_ms = 0;
    std::vector<Point> points;  // the oldest first; a step without a call of Add has none
  };
  // Empty for nodes that are not known, and for layers that the pair has no path in.
  std::vector<Line> Of(const std::string& src_node_id, const std::string& dst_node_id, int64_t now_epoch_ms,
                       MonotonicTime now) const;

  size_t bytes() const;  // of the points
  int64_t step_ms() const;

 private:
  // The points of one source: those of the first destination, those of the next ...; each at its step's number modulo
  // the number of steps.
  struct Row {
    std::vector<float> rtt_p50_ms, bw_p50_mbps;
    std::vector<uint8_t> state;  // v1::PathState, or kNoPoint
    Row() = default;
    explicit Row(size_t points);
    void Merge(size_t at, float rtt, float bw, uint8_t path_state);
  };
  struct LayerRows {
    Layer layer;
    std::vector<Row> rows;  // by source
  };
  struct Shape {
    std::vector<std::string> nodes;  // ids, sorted
    std::vector<Layer> layers;
    int64_t step_ms = kFinestStepMs;
    size_t steps() const { return StepsOf(step_ms); }
    size_t BytesAt(int64_t at_step_ms) const;
    int64_t ShortestStepMs() const;  // with which all fits; the coarsest where none does
    bool operator==(const Shape&) const = default;
  };

  static size_t StepsOf(int64_t step_ms) { return static_cast<size_t>(kSpan.count() / step_ms) + 1; }

  static constexpr uint8_t kNoPoint = 255;
  static constexpr size_t kPointBytes = 2 * sizeof(float) + sizeof(uint8_t);

  Shape NextShape(const std::vector<std::string>& nodes, const std::vector<Layer>& layers, MonotonicTime now);
  void KeepGone(MonotonicTime now, int64_t coarsest_step_ms, Shape* next) const;
  void Reshape(Shape next, int64_t newest_step);
  void Advance(int64_t step);

  mutable std::mutex mutex_;
  Shape shape_;
  std::map<std::string, MonotonicTime> node_seen_;  // of those in shape_: when last given to Begin
  std::map<Layer, MonotonicTime> layer_seen_;
  int64_t newest_step_ = 0;  // its number: monotonic time / step_ms
  std::vector<LayerRows> layers_;
  // Of what Begin was given last: the places here; a layer that does not fit has none.
  std::vector<size_t> given_nodes_;
  std::vector<std::optional<size_t>> given_layers_;
};

}  // namespace netsense
