#include "raylet_bridge/cluster/edge_history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "raylet_bridge/cluster/layers.h"

namespace netsense {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

int Gravity(uint8_t state) {
  switch (static_cast<v1::PathState>(state)) {
    case v1::PATH_STATE_OK:
      return 0;
    case v1::PATH_STATE_DEGRADED:
      return 1;
    case v1::PATH_STATE_ISOLATED:
      return 2;
    case v1::PATH_STATE_STALE:
      return 3;
    case v1::PATH_STATE_VERSION_MISMATCH:
      return 5;
    case v1::PATH_STATE_REFUSED:
      return 6;
    case v1::PATH_STATE_UNREACHABLE:
      return 7;
    default:
      return 4;  // UNKNOWN
  }
}

int64_t Millis(MonotonicTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::optional<size_t> PlaceOf(const std::vector<std::string>& nodes, const std::string& node_id) {
  auto found = std::lower_bound(nodes.begin(), nodes.end(), node_id);
  if (found == nodes.end() || *found != node_id) return std::nullopt;
  return static_cast<size_t>(found - nodes.begin());
}

// Those seen at `since` or later.
template <typename Name>
std::vector<Name> NewestFirst(const std::map<Name, MonotonicTime>& seen, MonotonicTime since) {
  std::vector<std::pair<MonotonicTime, Name>> found;
  for (const auto& [name, time] : seen)
    if (time >= since) found.emplace_back(time, name);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Name> names;
  for (auto& [time, name] : found) names.push_back(std::move(name));
  return names;
}

float OrNaN(std::optional<double> value) { return value ? static_cast<float>(*value) : kNaN; }
std::optional<float> OrNothing(float value) { return std::isnan(value) ? std::nullopt : std::optional(value); }

}  // namespace

EdgeHistory::Row::Row(size_t points) : rtt_p50_ms(points, kNaN), bw_p50_mbps(points, kNaN), state(points, kNoPoint) {}

void EdgeHistory::Row::Merge(size_t at, float rtt, float bw, uint8_t path_state) {
  if (!std::isnan(rtt)) rtt_p50_ms[at] = rtt;
  if (!std::isnan(bw)) bw_p50_mbps[at] = bw;
  if (state[at] == kNoPoint || Gravity(path_state) > Gravity(state[at])) state[at] = path_state;
}

size_t EdgeHistory::Shape::BytesAt(int64_t at_step_ms) const {
  return layers.size() * nodes.size() * nodes.size() * StepsOf(at_step_ms) * kPointBytes;
}

int64_t EdgeHistory::Shape::ShortestStepMs() const {
  int64_t shortest = kFinestStepMs;
  while (shortest < kCoarsestStepMs && BytesAt(shortest) > kMaxBytes) shortest *= 2;
  return shortest;
}

EdgeHistory::Shape EdgeHistory::NextShape(const std::vector<std::string>& nodes, const std::vector<Layer>& layers,
                                          MonotonicTime now) {
  Shape next{nodes, layers};
  std::sort(next.nodes.begin(), next.nodes.end());
  for (const std::string& node_id : next.nodes) node_seen_[node_id] = now;
  for (const Layer& layer : next.layers) layer_seen_[layer] = now;
  const int64_t step_ms = next.ShortestStepMs();
  while (next.BytesAt(step_ms) > kMaxBytes) next.layers.pop_back();
  KeepGone(now, std::min(std::max(kStretchForGone * step_ms, shape_.step_ms), kCoarsestStepMs), &next);
  next.step_ms = next.ShortestStepMs();
  std::erase_if(node_seen_, [&](const auto& seen) { return !PlaceOf(next.nodes, seen.first); });
  std::erase_if(layer_seen_, [&](const auto& seen) {
    return std::find(next.layers.begin(), next.layers.end(), seen.first) == next.layers.end();
  });
  return next;
}

// Layers before nodes: of a node that is gone for good nobody asks.
void EdgeHistory::KeepGone(MonotonicTime now, int64_t coarsest_step_ms, Shape* next) const {
  const std::vector<Layer> present_layers = next->layers;
  for (const Layer& layer : NewestFirst(layer_seen_, now - kSpan)) {
    const bool not_gone = std::any_of(present_layers.begin(), present_layers.end(), [&](const Layer& present) {
      return present == layer || TakesOver(present, layer);
    });
    if (not_gone) continue;
    next->layers.push_back(layer);
    if (next->BytesAt(coarsest_step_ms) > kMaxBytes) next->layers.pop_back();
  }
  const std::vector<std::string> present = next->nodes;
  for (const std::string& node_id : NewestFirst(node_seen_, now - kSpan)) {
    if (PlaceOf(present, node_id)) continue;
    next->nodes.push_back(node_id);
    if (next->BytesAt(coarsest_step_ms) > kMaxBytes) next->nodes.pop_back();
  }
  std::sort(next->nodes.begin(), next->nodes.end());
}

void EdgeHistory::Begin(const std::vector<std::string>& nodes, const std::vector<Layer>& layers, MonotonicTime now) {
  std::lock_guard lock(mutex_);
  Shape shape = NextShape(nodes, layers, now);
  const int64_t step = Millis(now) / shape.step_ms;
  if (shape != shape_) Reshape(std::move(shape), step);
  Advance(step);
  given_nodes_.clear();
  for (const std::string& node_id : nodes) given_nodes_.push_back(*PlaceOf(shape_.nodes, node_id));
  given_layers_.clear();
  for (const Layer& layer : layers) {
    auto kept = std::find(shape_.layers.begin(), shape_.layers.end(), layer);
    given_layers_.push_back(kept == shape_.layers.end() ? std::nullopt
                                                        : std::optional<size_t>(kept - shape_.layers.begin()));
  }
}

void EdgeHistory::Add(size_t src, size_t dst, size_t layer, v1::PathState state, std::optional<double> rtt_p50_ms,
                      std::optional<double> bw_p50_mbps) {
  std::lock_guard lock(mutex_);
  if (!given_layers_[layer]) return;
  const size_t steps = shape_.steps();
  layers_[*given_layers_[layer]].rows[given_nodes_[src]].Merge(
      given_nodes_[dst] * steps + static_cast<size_t>(newest_step_) % steps, OrNaN(rtt_p50_ms), OrNaN(bw_p50_mbps),
      static_cast<uint8_t>(state));
}

void EdgeHistory::Look(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms, MonotonicTime now) {
  Layers layers(view);
  std::vector<std::string> nodes;
  for (const ClusterNode& node : view.nodes) nodes.push_back(node.node_id);
  Begin(nodes, layers.all(), now);
  JudgeCluster(view, settings, now_epoch_ms, now, /*marks=*/nullptr, [&](const JudgedEdge& edge) {
    layers.Of(edge, [&](size_t layer, bool first) {
      if (first) Add(edge.src_place, edge.dst_place, layer, edge.state, edge.rtt_p50_ms(), edge.bw_p50_mbps());
    });
  });
}

// Row by row, so that there is never much more than one copy.
void EdgeHistory::Reshape(Shape next, int64_t newest_step) {
  const Shape last = std::exchange(shape_, std::move(next));
  std::vector<std::optional<size_t>> was;  // the place that a node had
  for (const std::string& node_id : shape_.nodes) was.push_back(PlaceOf(last.nodes, node_id));
  std::vector<LayerRows> layers;
  for (const Layer& name : shape_.layers) {
    LayerRows& layer = layers.emplace_back(LayerRows{name, {}});
    auto before =
        std::find_if(layers_.begin(), layers_.end(), [&](const LayerRows& kept) { return kept.layer == name; });
    for (size_t src = 0; src < shape_.nodes.size(); ++src) {
      Row& row = layer.rows.emplace_back(shape_.nodes.size() * shape_.steps());
      if (before == layers_.end() || !was[src]) continue;
      Row old = std::exchange(before->rows[*was[src]], {});
      for (size_t dst = 0; dst < shape_.nodes.size(); ++dst) {
        if (!was[dst]) continue;
        for (int64_t step = newest_step_ - static_cast<int64_t>(last.steps()) + 1; step <= newest_step_; ++step) {
          const size_t from = *was[dst] * last.steps() + static_cast<size_t>(step) % last.steps();
          const int64_t now_step = step * last.step_ms / shape_.step_ms;
          if (step < 0 || old.state[from] == kNoPoint || newest_step - now_step >= static_cast<int64_t>(shape_.steps()))
            continue;
          row.Merge(dst * shape_.steps() + static_cast<size_t>(now_step) % shape_.steps(), old.rtt_p50_ms[from],
                    old.bw_p50_mbps[from], old.state[from]);
        }
      }
    }
    if (before != layers_.end()) before->rows.clear();
  }
  layers_ = std::move(layers);
  newest_step_ = newest_step;
}

// Makes room for the points of `step`.
void EdgeHistory::Advance(int64_t step) {
  const size_t steps = shape_.steps();
  const int64_t oldest = std::max(newest_step_ + 1, step - static_cast<int64_t>(steps) + 1);
  for (int64_t fresh = oldest; fresh <= step; ++fresh) {
    for (LayerRows& layer : layers_)
      for (Row& row : layer.rows)
        for (size_t at = static_cast<size_t>(fresh) % steps; at < row.state.size(); at += steps) {
          row.rtt_p50_ms[at] = row.bw_p50_mbps[at] = kNaN;
          row.state[at] = kNoPoint;
        }
  }
  newest_step_ = std::max(newest_step_, step);
}

std::vector<EdgeHistory::Line> EdgeHistory::Of(const std::string& src_node_id, const std::string& dst_node_id,
                                               int64_t now_epoch_ms, MonotonicTime now) const {
  std::lock_guard lock(mutex_);
  std::vector<Line> lines;
  const auto src = PlaceOf(shape_.nodes, src_node_id), dst = PlaceOf(shape_.nodes, dst_node_id);
  if (!src || !dst) return lines;
  const auto steps = static_cast<int64_t>(shape_.steps());
  for (const LayerRows& layer : layers_) {
    Line line{layer.layer, shape_.step_ms, {}};
    const Row& row = layer.rows[*src];
    for (int64_t step = std::max<int64_t>(newest_step_ - steps + 1, 0); step <= newest_step_; ++step) {
      const size_t at = *dst * shape_.steps() + static_cast<size_t>(step % steps);
      const int64_t age_ms = Millis(now) - step * shape_.step_ms;
      if (row.state[at] == kNoPoint || age_ms > kSpan.count() + shape_.step_ms) continue;
      line.points.push_back({now_epoch_ms - age_ms, OrNothing(row.rtt_p50_ms[at]), OrNothing(row.bw_p50_mbps[at]),
                             static_cast<v1::PathState>(row.state[at])});
    }
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

size_t EdgeHistory::bytes() const {
  std::lock_guard lock(mutex_);
  return shape_.BytesAt(shape_.step_ms);
}

int64_t EdgeHistory::step_ms() const {
  std::lock_guard lock(mutex_);
  return shape_.step_ms;
}

}  // namespace netsense
