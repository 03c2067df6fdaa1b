#include "raylet_bridge/cluster/matrix_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "proto/enum_names.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "the document is little endian");

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kAlign = 8;

// The one list of a layer's columns.
template <typename AnyLayer, typename Visit>
void EachColumn(AnyLayer& layer, Visit&& visit) {
  visit("state", "u8", layer.state, Matrix::kNoEdge);
  visit("slow", "u8", layer.slow, uint8_t{0});
  visit("reason", "u16", layer.reason, uint16_t{0});
  visit("rtt_p50_ms", "f32", layer.rtt_p50_ms, kNaN);
  visit("network_rtt_p50_ms", "f32", layer.network_rtt_p50_ms, kNaN);
  visit("jitter_ms", "f32", layer.jitter_ms, kNaN);
  visit("bw_p50_mbps", "f32", layer.bw_p50_mbps, kNaN);
  visit("bw_percent", "f32", layer.bw_percent, kNaN);
  visit("rtt_age_ms", "f32", layer.rtt_age_ms, kNaN);
  visit("bw_age_ms", "f32", layer.bw_age_ms, kNaN);
}

size_t ColumnBytes(size_t elements) {
  size_t bytes = 0;
  const MatrixLayer layer{};
  EachColumn(layer, [&](const char*, const char*, const auto& column, auto) { bytes += elements * sizeof(column[0]); });
  return bytes;
}

float OrNaN(const std::optional<double>& value) { return value ? static_cast<float>(*value) : kNaN; }
float OrNaN(const std::optional<int64_t>& value) { return value ? static_cast<float>(*value) : kNaN; }

// Texts that repeat stand once. A text too many becomes one that says so.
class Reasons {
 public:
  Reasons() { Add(""); }

  uint16_t Place(const std::string& text) {
    if (text.empty()) return 0;
    // Neighbours mostly have the same reason.
    if (text == last_text_) return last_;
    auto known = places_.find(text);
    last_text_ = text;
    last_ = known != places_.end() ? known->second : texts_.size() + 1 >= Matrix::kMaxReasons ? Overflow() : Add(text);
    return last_;
  }
  std::vector<std::string> Take() { return std::move(texts_); }

 private:
  uint16_t Add(const std::string& text) {
    const auto place = static_cast<uint16_t>(texts_.size());
    places_.emplace(text, place);
    texts_.push_back(text.substr(0, Matrix::kMaxReasonBytes));
    if (text.size() > Matrix::kMaxReasonBytes) texts_.back() += " ...";
    return place;
  }
  uint16_t Overflow() {
    if (overflow_ == 0) overflow_ = Add("(more reasons than this document holds: look at the edge itself)");
    return overflow_;
  }

  std::vector<std::string> texts_;
  std::unordered_map<std::string, uint16_t> places_;
  std::string last_text_;
  uint16_t last_ = 0, overflow_ = 0;
};

// Puts judged edges into the columns of the layers that are to be filled.
class Filler {
 public:
  Filler(const ClusterView& view, Layers* layers, Matrix* matrix)
      : nodes_(view.nodes.size()), layers_(layers), matrix_(matrix) {}

  void Add(const JudgedEdge& edge) {
    layers_->Of(edge, [&](size_t place, bool first) {
      MatrixLayer& layer = matrix_->layers[place];
      CountIn(edge, layer);
      if (first && layer.filled()) Put(edge, edge.src_place * nodes_ + edge.dst_place, layer);
    });
  }

  std::vector<std::string> TakeReasons() { return reasons_.Take(); }

 private:
  static void CountIn(const JudgedEdge& edge, MatrixLayer& layer) {
    const bool unknown = edge.state == v1::PATH_STATE_UNKNOWN || edge.state == v1::PATH_STATE_STALE;
    layer.unknown += unknown;
    layer.not_ok += !unknown && edge.state != v1::PATH_STATE_OK && edge.state != v1::PATH_STATE_ISOLATED;
    layer.slow_bandwidth += edge.slow.bandwidth_times > 0;
    layer.slow_rtt += edge.slow.rtt_times > 0;
    if (edge.reported != nullptr) layer.bw_life_ms = std::max(layer.bw_life_ms, edge.reported->bw_life_ms.value_or(0));
  }

  void Put(const JudgedEdge& edge, size_t cell, MatrixLayer& layer) {
    layer.state[cell] = static_cast<uint8_t>(edge.state);
    layer.reason[cell] = reasons_.Place(edge.slow.any() ? *edge.slow.words : edge.reason);
    layer.slow[cell] = static_cast<uint8_t>((edge.slow.bandwidth_times > 0 ? Matrix::kSlowBandwidth : 0) |
                                            (edge.slow.rtt_times > 0 ? Matrix::kSlowRtt : 0));
    if (edge.reported == nullptr) return;
    const ReportEdge& told = *edge.reported;
    const int64_t since_ms = edge.src.report_age_ms.value_or(0);
    auto age = [since_ms](const std::optional<int64_t>& then) {
      return then ? OrNaN(std::optional(*then + since_ms)) : kNaN;
    };
    layer.rtt_age_ms[cell] = age(told.rtt_age_ms);
    layer.bw_age_ms[cell] = age(told.bw_age_ms);
    layer.rtt_p50_ms[cell] = OrNaN(edge.rtt_p50_ms());
    layer.bw_p50_mbps[cell] = OrNaN(edge.bw_p50_mbps());
    if (edge.state != v1::PATH_STATE_OK) return;
    layer.network_rtt_p50_ms[cell] = OrNaN(told.network_rtt_p50_ms);
    layer.jitter_ms[cell] = OrNaN(told.jitter_ms);
    if (BandwidthCounts(told, since_ms)) layer.bw_percent[cell] = OrNaN(told.bw_percent);
  }

  const size_t nodes_;
  Layers* const layers_;
  Matrix* const matrix_;
  Reasons reasons_;
};

Json NodesToJson(const std::vector<TopologyNode>& nodes) {
  Json list = Json::array();
  for (const TopologyNode& node : nodes) {
    Json entry = {{"node_id", node.node.node_id},       {"address", node.node.address},
                  {"hostname", node.node.hostname},     {"is_head", node.node.is_head},
                  {"state", PathStateName(node.state)}, {"reason", node.reason},
                  {"reachable", node.reachable},        {"report_age_ms", nullptr}};
    if (node.report_age_ms) entry["report_age_ms"] = *node.report_age_ms;
    list.push_back(std::move(entry));
  }
  return list;
}

Json StateNames() {
  Json names = Json::array();
  for (int state = 0; state < v1::PathState_ARRAYSIZE; ++state)
    names.push_back(PathStateName(static_cast<v1::PathState>(state)));
  return names;
}

size_t Aligned(size_t offset) { return (offset + kAlign - 1) / kAlign * kAlign; }

// The header's list of layers, if the columns began at `begin`.
std::string LayersJson(const Matrix& matrix, size_t begin) {
  Json layers = Json::array();
  size_t offset = begin;
  for (const MatrixLayer& layer : matrix.layers) {
    Json columns = Json::array();
    EachColumn(layer, [&](const char* name, const char* type, const auto& column, auto) {
      if (column.empty()) return;
      columns.push_back({{"name", name}, {"type", type}, {"offset", offset}});
      offset = Aligned(offset + column.size() * sizeof(column[0]));
    });
    Json entry = {{"transport", layer.name.transport}, {"fabric", layer.name.fabric}, {"rail", nullptr}};
    if (layer.name.rail) entry["rail"] = *layer.name.rail;
    for (const auto& [name, number] : {std::pair("not_ok", layer.not_ok),
                                       {"unknown", layer.unknown},
                                       {"slow_bandwidth", layer.slow_bandwidth},
                                       {"slow_rtt", layer.slow_rtt}})
      entry[name] = number;
    entry["bw_life_ms"] = layer.bw_life_ms > 0 ? Json(layer.bw_life_ms) : Json(nullptr);
    entry["columns"] = std::move(columns);
    layers.push_back(std::move(entry));
  }
  return DumpJson(layers);
}

}  // namespace

absl::StatusOr<Matrix> BuildMatrix(const ClusterView& view, const Settings& settings, int64_t now_epoch_ms,
                                   MonotonicTime now, std::optional<size_t> only, const SlowMarks* marks) {
  Matrix matrix;
  matrix.generated_at_ms = now_epoch_ms;
  Layers layers(view, &matrix.warnings);
  for (const Layer& layer : layers.all()) matrix.layers.emplace_back().name = layer;
  if (only && *only >= matrix.layers.size())
    return absl::OutOfRangeError(fmt::format("there is no layer {}, only 0 to {}", *only, matrix.layers.size() - 1));
  const size_t elements = view.nodes.size() * view.nodes.size();
  const size_t fit = std::max<size_t>(Matrix::kMaxColumnBytes / std::max<size_t>(ColumnBytes(elements), 1), 1);
  for (size_t i = 0; i < matrix.layers.size(); ++i)
    if (only ? i == *only : i < fit)
      EachColumn(matrix.layers[i],
                 [elements](const char*, const char*, auto& column, auto empty) { column.assign(elements, empty); });
  if (!only && fit < matrix.layers.size())
    matrix.warnings.push_back(
        fmt::format("{} of {} layers are filled in: ask for one by ?layer=N", fit, matrix.layers.size()));
  Filler filler(view, &layers, &matrix);
  matrix.nodes =
      JudgeCluster(view, settings, now_epoch_ms, now, marks, [&filler](const JudgedEdge& edge) { filler.Add(edge); });
  matrix.reasons = filler.TakeReasons();
  matrix.lost = LostNodes(view, now);
  for (std::string& warning : TopologyWarnings(matrix.nodes)) matrix.warnings.push_back(std::move(warning));
  return matrix;
}

std::string MatrixToBytes(const Matrix& matrix, const std::string& message) {
  std::string start = DumpJson({{"schema_version", 1},
                                {"generated_at_ms", matrix.generated_at_ms},
                                {"message", message},
                                {"warnings", matrix.warnings},
                                {"version", NETSENSE_VERSION},
                                {"nodes", NodesToJson(matrix.nodes)},
                                {"lost_nodes", LostNodesToJson(matrix.lost)},
                                {"states", StateNames()},
                                {"reasons", matrix.reasons}});
  start.back() = ',';
  start += "\"layers\":";
  // The offsets stand in the header, whose length they change: it grows until both agree.
  std::string layers;
  size_t length = 0, begin = 0;
  for (bool agreed = false; !agreed;) {
    layers = LayersJson(matrix, begin);
    length = start.size() + layers.size() + 1;
    agreed = begin == Aligned(8 + length);
    begin = Aligned(8 + length);
  }
  std::string document = "NSM1";
  document.reserve(begin +
                   matrix.layers.size() * (ColumnBytes(matrix.nodes.size() * matrix.nodes.size()) + 9 * kAlign));
  const auto header_bytes = static_cast<uint32_t>(length);
  document.append(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
  document += start + layers + "}";
  document.resize(begin, '\0');
  for (const MatrixLayer& layer : matrix.layers)
    EachColumn(layer, [&document](const char*, const char*, const auto& column, auto) {
      document.append(reinterpret_cast<const char*>(column.data()), column.size() * sizeof(column[0]));
      document.resize(Aligned(document.size()), '\0');
    });
  return document;
}

}  // namespace netsense
