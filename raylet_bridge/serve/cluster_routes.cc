#include "raylet_bridge/serve/cluster_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "base/status_macros.h"
#include "raylet_bridge/cluster/matrix_document.h"
#include "raylet_bridge/cluster/topology.h"
#include "raylet_bridge/cluster/topology_document.h"
#include "raylet_bridge/records/kv_keys.h"
#include "raylet_bridge/serve/document_cache.h"
#include "raylet_bridge/serve/edge_document.h"
#include "raylet_bridge/serve/node_document.h"

namespace netsense {
namespace {

bool IsAlive(const ClusterView& view, const std::string& node_id) {
  return std::any_of(view.nodes.begin(), view.nodes.end(), [&](const auto& node) { return node.node_id == node_id; });
}

class ClusterApi {
 public:
  explicit ClusterApi(ClusterSources sources) : sources_(std::move(sources)) {}

  HttpResponse Topology(const HttpRequest& request) {
    const auto edges = request.query("edges");
    if (edges && *edges != "none") return RefuseHttp(400, "edges can be `none`: the nodes and the counts alone");
    const auto reader = absl::MakeCleanup([this] { --topology_readers_; });
    if (++topology_readers_ > kMaxTopologyReaders) {
      HttpResponse busy = RefuseHttp(503, "the topology is being written for others: ask again, or for network_matrix");
      busy.headers.emplace_back("Retry-After", "5");
      return busy;
    }
    return Shared("application/json", topologies_.Get(edges ? "nodes" : "topology", MonotonicNow(), [this, &edges] {
      const BridgeState state = sources_.state();
      const MonotonicTime now = MonotonicNow();
      return TopologyDocument(*state.view, state.settings, EpochMillis(), now, GcsProblem(state, now), !edges,
                              Marks(state, now).get());
    }));
  }

  HttpResponse Matrix(const HttpRequest& request) {
    std::optional<size_t> layer;
    if (auto asked = request.query("layer")) {
      uint32_t number = 0;
      if (!absl::SimpleAtoi(*asked, &number))
        return RefuseHttp(400, "layer is a whole number: the place of the layer in the header's list, from 0");
      layer = number;
    }
    const std::string name = layer ? fmt::format("matrix {}", *layer) : "matrix";
    return Shared("application/octet-stream",
                  matrices_.Get(name, MonotonicNow(), [this, layer]() -> absl::StatusOr<std::string> {
                    const BridgeState state = sources_.state();
                    const MonotonicTime now = MonotonicNow();
                    ASSIGN_OR_RETURN(auto matrix, BuildMatrix(*state.view, state.settings, EpochMillis(), now, layer,
                                                              Marks(state, now).get()));
                    return MatrixToBytes(matrix, GcsProblem(state, now));
                  }));
  }

  HttpResponse Edge(const HttpRequest& request) {
    const std::string src = request.query("src").value_or(""), dst = request.query("dst").value_or("");
    if (!IsNodeId(src) || !IsNodeId(dst) || src == dst)
      return RefuseHttp(400, "src and dst are the ids of two nodes, 56 lower-case hex digits each");
    const BridgeState state = sources_.state();
    for (const std::string& node_id : {src, dst})
      if (!IsAlive(*state.view, node_id)) return NoSuchNode(node_id);
    const MonotonicTime now = MonotonicNow();
    const int64_t now_epoch_ms = EpochMillis();
    const auto edges = EdgesBetween(src, dst, *state.view, state.settings, now_epoch_ms, now, Marks(state, now).get());
    std::vector<EdgeHistory::Line> history;
    if (sources_.history != nullptr) history = sources_.history->Of(src, dst, now_epoch_ms, now);
    return {.body = EdgeDocument(edges, history, now_epoch_ms, GcsProblem(state, now))};
  }

  HttpResponse Node(const HttpRequest& request) {
    const std::string node_id = request.query("node").value_or("");
    if (!IsNodeId(node_id)) return RefuseHttp(400, "node is the id of a node, 56 lower-case hex digits");
    const BridgeState state = sources_.state();
    const MonotonicTime now = MonotonicNow();
    const auto nodes = JudgeCluster(*state.view, state.settings, EpochMillis(), now, nullptr, [](const JudgedEdge&) {});
    for (const TopologyNode& node : nodes)
      if (node.node.node_id == node_id)
        return {.body = NodeDocument(node, sources_.read_key(InventoryKey(node_id)), GcsProblem(state, now))};
    return NoSuchNode(node_id);
  }

 private:
  // Once for each view.
  std::shared_ptr<const SlowMarks> Marks(const BridgeState& state, MonotonicTime now) {
    std::lock_guard lock(marks_mutex_);
    if (marks_ == nullptr || marked_.lock() != state.view) {
      marks_ = FindSlowMarks(*state.view, state.settings, EpochMillis(), now);
      marked_ = state.view;
    }
    return marks_;
  }

  static HttpResponse NoSuchNode(const std::string& node_id) {
    return RefuseHttp(404, fmt::format("no alive node of this cluster has the id {}", node_id));
  }

  static HttpResponse Shared(const char* content_type, const absl::StatusOr<DocumentCache::Document>& document) {
    if (!document.ok())
      return RefuseHttp(absl::IsResourceExhausted(document.status()) ? 413 : 400,
                        std::string(document.status().message()));
    return {.content_type = content_type, .shared_body = *document};
  }

  // With many nodes it takes seconds to write, and those who wait hold the server's threads.
  static constexpr int kMaxTopologyReaders = 4;

  const ClusterSources sources_;
  std::atomic<int> topology_readers_ = 0;
  std::mutex marks_mutex_;
  std::weak_ptr<const ClusterView> marked_;
  std::shared_ptr<const SlowMarks> marks_;  // of `marked_`
  DocumentCache topologies_, matrices_;     // apart: a topology takes longer to write
};

}  // namespace

std::vector<HttpRoute> ClusterRoutes(const ClusterSources& sources) {
  auto api = std::make_shared<ClusterApi>(sources);
  auto route = [&api](const char* path, HttpResponse (ClusterApi::*answer)(const HttpRequest&)) {
    return HttpRoute{path, false, [api, answer](const HttpRequest& request) { return (*api.*answer)(request); }};
  };
  return {route("/api/v0/network_topology", &ClusterApi::Topology),
          route("/api/v0/network_matrix", &ClusterApi::Matrix), route("/api/v0/network_edge", &ClusterApi::Edge),
          route("/api/v0/network_node", &ClusterApi::Node)};
}

}  // namespace netsense
